//! The memory service over HTTP, on a real database, cache and vector store.

mod auth;
mod create;
mod embeddings;
mod expiry;
mod forget;
mod model;
mod outages;
mod probes;
mod problems;
mod search;
pub mod service;
