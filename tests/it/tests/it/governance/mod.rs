//! The governance service over HTTP, on a real database.

mod approval_ends;
mod approvals;
mod approvals_amended;
mod approvals_apply;
mod approvals_locked;
mod audit;
mod audit_verify;
pub mod bodies;
mod outages;
mod policies;
mod policy_versions;
mod probes;
mod refused_text;
mod roles;
pub mod service;
mod snapshot;
mod tenants;
mod told;
mod too_much;
