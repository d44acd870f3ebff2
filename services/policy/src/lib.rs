//! Policies, for the service that keeps them and for those that decide by them.
//!
//! [`policy`] is what a policy says, [`engine`] decides without IO, [`rbac`] are the roles' own rights. The governance
//! service keeps the policies, signs each tenant's set ([`signed`], [`snapshot`]) and hands it out; the other services hold
//! a copy and decide at their own door ([`guard`]). No SQL, and no route of its own.
//!
//! It is no part of the kit, for not everybody who uses the kit decides: docs/decisions/0008-policies-decided-locally.md.

pub mod canonical;
pub mod engine;
pub mod guard;
pub mod policy;
pub mod rbac;
pub mod signed;
pub mod snapshot;
pub mod text;
