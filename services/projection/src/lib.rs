//! The truth of the memory service and its projection into Qdrant.
//!
//! The truth is the table `memory.memories` (this crate's migrations); the projection is one Qdrant point a live memory,
//! in the collection that the tenant's route names. Everything that touches either is here, so that the memory service and
//! the relocator obey the same rules:
//!
//! - [`truth`]: the write function behind the fence, the pages and tails that a move reads, the outbox.
//! - [`store`]: Qdrant under the rules R1 (guarded upsert), R2 (markers), R3 (bounded deletes), R4 (only `Completed`
//!   counts), R5 (searches filter tenant, floor and deletion).
//! - [`apply`]: brings written rows to Qdrant and confirms them, in batches shared by concurrent requests.
//! - [`relay`]: does the same for what a crashed or refused apply left in the outbox.
//!
//! It does not know HTTP, embedders or Kubernetes. Routes and moves are `aeterna-tenancy`.

pub mod apply;
mod migrations;
pub mod relay;
pub mod store;
pub mod truth;

pub use migrations::migrations;
