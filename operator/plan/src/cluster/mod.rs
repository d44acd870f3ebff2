//! An AeternaCluster: its children and its status.

pub mod build;
mod service;
mod status;

pub use service::{KINDS, ServiceKind};
pub use status::{Observed, Pods, derive_interrupted, derive_status};
