//! What the service does without being asked. Each worker has one turn as a function of its own, which tests call.

pub mod checkpoints;
pub mod expiry;
