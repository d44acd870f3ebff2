//! The knowledge service over HTTP, on a real database and cache.

mod archives;
mod context;
mod folders;
mod items;
mod life;
mod lives;
mod notes;
mod outages;
mod policies;
mod relations;
mod rights;
mod search;
pub mod service;
mod tenants;
mod transfers;
mod worth;
