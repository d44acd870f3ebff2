//! The endpoints: a folder a resource, a file a verb.

pub mod approval;
pub mod audit;
pub mod policies;
pub mod roles;
