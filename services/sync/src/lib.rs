//! The sync service: brings what other systems hold into knowledge and memories, and keeps it there as it is.
//!
//! A *connection* is a source and a target; a *job* is one run over it, durable in PostgreSQL. [`routes`] is what a caller
//! sees; [`worker`] claims jobs and walks them batch by batch; [`source`] reads, [`target`] delivers through the other
//! services' APIs; [`plan`] decides, without IO, what a batch has to do. SQL is in [`store`] and nowhere else.
//!
//! Three rules hold it together. What is about to be done to a target is recorded before it is done. The cursor is
//! committed in the transaction of its batch. Every write of a worker names the attempt that it was given.

pub mod access;
pub mod connection;
pub mod job;
pub mod lease;
pub mod migrations;
pub mod outbound;
pub mod permissions;
pub mod plan;
pub mod router;
pub mod routes;
pub mod schedule;
pub mod secrets;
pub mod settings;
pub mod source;
pub mod state;
pub mod store;
pub mod streams;
pub mod target;
pub mod token;
pub mod webhook;
pub mod worker;

use aeterna_kit::migrate::kit_migrations;
use aeterna_kit::service::Definition;

/// Returns what the process of this service is: its name, port and schemas.
#[must_use]
pub fn definition() -> Definition {
    Definition {
        name: "sync-service",
        port: 8004,
        migrations: vec![kit_migrations(), migrations::migrations()],
        caches: false,
    }
}
