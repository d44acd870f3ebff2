//! The memory service: stores what agents learn, and finds it again.
//!
//! PostgreSQL holds each memory with its embedding; Qdrant a projection of them. The rules of both are in
//! `aeterna-projection`; this crate has what a caller sees: the five endpoints ([`routes`]), the embedders
//! ([`embedding`]), and the SQL that reads memories under row-level security ([`store`]).

pub mod embedding;
pub mod layer;
pub mod memory;
pub mod permissions;
pub mod recheck;
pub mod router;
pub mod routes;
pub mod settings;
pub mod state;
pub mod store;
pub mod sweeper;
pub mod writer;

use aeterna_kit::migrate::kit_migrations;
use aeterna_kit::service::Definition;

/// Returns what the process of this service is: its name, port and schemas.
#[must_use]
pub fn definition() -> Definition {
    Definition {
        name: "memory-service",
        port: 8001,
        migrations: vec![
            kit_migrations(),
            aeterna_tenancy::migrations(),
            aeterna_projection::migrations(),
        ],
        caches: true,
    }
}
