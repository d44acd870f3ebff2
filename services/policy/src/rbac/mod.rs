//! Roles and what each may do: the built-in policies of every tenant.
//!
//! The matrix is Cedar text (`builtin.cedar`) under the schema that tenant policies are held to as well
//! (`schema.cedarschema`). Nothing here knows a tenant or a database; [`crate::engine`] decides with it.

pub mod action;
pub mod holding;
pub mod matrix;
mod role;

pub use action::Action;
pub use role::Role;

/// The schema of all policies.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The built-in policies.
pub const BUILTIN: &str = include_str!("builtin.cedar");
