//! Version `v1alpha1`.

mod cluster;
mod conditions;
mod services;
mod tenant_shard;

pub use cluster::*;
pub use conditions::*;
pub use services::*;
pub use tenant_shard::*;
