//! SQL that reads memories, under row-level security.

mod find;
mod row;

pub use find::{Found, Predicates, Words, fetch, find};
pub use row::Stored;

use aeterna_tenancy::Generation;
use aeterna_tenancy::shards::Life;

/// A tenant's route, as a search needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The shard in force, in the life that is meant.
    pub shard: Life,
    /// Searches read points of this generation and above.
    pub floor: Generation,
    /// The model of its vectors.
    pub model: String,
}
