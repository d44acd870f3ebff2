//! Qdrant under the rules of the move protocol; nothing else in the house talks to it.
//!
//! A point is a memory: its id is the row's `point_id`, its vector is named [`VECTOR`], its payload has the fields of
//! [`point`]. Each collection has one reserved point, the nil UUID, with the identity of the shard.
//!
//! - R1 [`Store::upsert`]: an existing point is overwritten only if its tenant is mine and its (generation, version) is
//!   smaller. Qdrant judges one filter per request against the state before the batch; so the rows are coalesced to the
//!   newest per id and each brings its own clause.
//! - R2: a deleted memory becomes a marker by the same upsert: same id, no vector, `deleted: true`.
//! - R3 [`Store::delete_range`]: a delete of many names tenant and generations; a drop compares the identity first.
//! - R4: only `Completed` counts as applied; a refused batch is bisected, so that one bad point does not hold the others.
//! - R5 [`Store::search`]: tenant, generation of the floor and above, not deleted.

mod collection;
mod connect;
mod delete;
mod error;
mod guard;
mod payload;
pub mod point;
mod scan;
mod search;
mod upsert;

pub use collection::CollectionState;
pub use connect::{OLDEST_QDRANT, Store, Stores};
pub use error::{Error, Result};
pub use scan::Found;
pub use search::{Hit, Search};
pub use upsert::Stamp;

/// The name of the vector of a memory's content.
pub const VECTOR: &str = "content";
