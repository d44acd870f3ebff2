//! The sync service over HTTP, on a real database, with the real memory service as its target.

mod directory;
mod jobs;
mod kills;
mod knowledge;
mod outages;
mod peer;
mod probes;
mod rejects;
pub mod service;
mod tenants;
