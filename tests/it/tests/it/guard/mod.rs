//! Services that decide by signed snapshots of the governance service's policies.

mod denied;
pub mod relay;
mod stale;
pub mod world;
