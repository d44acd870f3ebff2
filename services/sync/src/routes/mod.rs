//! The endpoints, one file each.

pub mod schedules;
pub mod sync;
pub mod webhooks;
