//! SQL that reads memories, under row-level security.

mod find;
mod row;

pub use find::{Found, Predicates, Words, fetch, find};
pub use row::Stored;

use aeterna_tenancy::{Generation, ShardId};

/// A tenant's route, as a search needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The shard in force.
    pub shard: ShardId,
    /// Searches read points of this generation and above.
    pub floor: Generation,
    /// The model of its vectors.
    pub model: String,
}
