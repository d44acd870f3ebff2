//! Newtypes for what identifies a shard, a move, a leader and a projection.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of a shard, such as `shared-shard-1` or `dedicated-acme`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct ShardId(String);

impl ShardId {
    /// Wraps a shard's name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct MoveId(pub Uuid);

impl fmt::Display for MoveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one projection of a tenant; never used twice for a tenant.
///
/// Its high bits are the cluster's incarnation, so a database that went back in time cannot hand one out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct Generation(pub i64);

/// Bits of a generation below the incarnation: 2^40 moves a tenant in one incarnation.
const INCARNATION_SHIFT: u32 = 40;

impl Generation {
    /// Returns the first generation of an incarnation.
    #[must_use]
    pub fn first(incarnation: i32) -> Self {
        Self((i64::from(incarnation) << INCARNATION_SHIFT) | 1)
    }

    /// Returns the generation after `last` in `incarnation`.
    #[must_use]
    pub fn after(last: Self, incarnation: i32) -> Self {
        Self((last.0 + 1).max(Self::first(incarnation).0))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a move was claimed: the fencing token of the worker that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct Attempt(pub i32);

/// The term of a leader: raised by each operator that takes the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct Term(pub i64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_generation_is_above_all_earlier_ones(last in 0_i64..i64::MAX / 4, incarnation in 1_i32..1_000_000) {
            let next = Generation::after(Generation(last), incarnation);
            prop_assert!(next.0 > last);
            prop_assert!(next >= Generation::first(incarnation));
        }
    }
}
