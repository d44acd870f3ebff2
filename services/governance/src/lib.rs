//! The governance service: who may do what, who has agreed to it, and what has happened.
//!
//! Policies are texts with versions ([`policy`]), decided by an engine without IO ([`engine`]) under the roles' own rights
//! ([`rbac`]); approvals are a pure state machine ([`approval`]); every change is told to the audit log in its own
//! transaction ([`audit`]). Each endpoint ([`routes`]) begins with [`admission`]: a decision, or nothing.

pub mod admission;
pub mod anchor;
pub mod approval;
pub mod audit;
pub mod beside;
pub mod migrations;
pub mod origin;
pub mod router;
pub mod routes;
pub mod sets;
pub mod settings;
pub mod signing;
pub mod state;
pub mod store;
pub mod worker;

use aeterna_kit::migrate::kit_migrations;
use aeterna_kit::service::Definition;

pub use aeterna_policy::{canonical, engine, policy, rbac};

/// Returns what the process of this service is: its name, port and schemas.
#[must_use]
pub fn definition() -> Definition {
    Definition {
        name: "governance-service",
        port: 8003,
        migrations: vec![kit_migrations(), migrations::migrations()],
        caches: false,
    }
}
