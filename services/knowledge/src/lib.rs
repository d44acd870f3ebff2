//! The knowledge service: what a team knows, as Markdown at paths, for people and agents.
//!
//! PostgreSQL holds each item with all its versions. The rules are pure modules: where an item may be ([`path`]), what it is
//! and how it lives ([`item`]), who may do what ([`access`]) and who asks ([`by`]), what a folder is as an archive
//! ([`archive`]), what an item refers to ([`links`]), what a search asks for ([`query`]), what a model is told ([`context`]),
//! what is worth keeping of what was done ([`notes`]). SQL is in [`store`], what a caller sees in [`routes`]; who is related to
//! whom is asked of [`graph`].

pub mod access;
pub mod archive;
pub mod by;
pub mod context;
pub mod graph;
pub mod item;
pub mod links;
pub mod markdown;
pub mod memories;
pub mod notes;
pub mod path;
pub mod permissions;
pub mod query;
pub mod router;
pub mod routes;
pub mod settings;
pub mod state;
pub mod store;
pub mod tokens;
pub mod uses;

use aeterna_kit::migrate::kit_migrations;
use aeterna_kit::service::Definition;

/// Returns what the process of this service is: its name, port and schemas.
#[must_use]
pub fn definition() -> Definition {
    Definition {
        name: "knowledge-service",
        port: 8002,
        migrations: vec![kit_migrations(), store::migrations()],
        caches: true,
    }
}
