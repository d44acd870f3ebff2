//! The endpoints: a folder a resource, a file a verb.

pub mod context;
pub mod knowledge;
pub mod notes;
mod refusal;
