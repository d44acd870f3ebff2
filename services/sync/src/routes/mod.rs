//! The endpoints, one file each.

pub mod sync;
