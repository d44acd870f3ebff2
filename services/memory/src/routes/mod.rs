//! The endpoints: a folder a resource, a file a verb.

pub mod embeddings;
pub mod memories;
