//! The knowledge service over HTTP, on a real database and cache.

mod archives;
mod context;
mod folders;
mod items;
mod life;
mod notes;
mod outages;
mod relations;
mod search;
pub mod service;
mod tenants;
