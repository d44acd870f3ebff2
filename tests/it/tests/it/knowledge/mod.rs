//! The knowledge service over HTTP, on a real database and cache.

mod context;
mod folders;
mod items;
mod life;
mod notes;
mod outages;
mod search;
pub mod service;
mod tenants;
