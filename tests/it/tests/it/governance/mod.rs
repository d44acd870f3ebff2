//! The governance service over HTTP, on a real database.

mod approval_ends;
mod approvals;
mod audit;
pub mod bodies;
mod outages;
mod policies;
mod policy_versions;
mod probes;
mod roles;
pub mod service;
mod snapshot;
mod tenants;
