//! The chain of one tenant: which hash follows, and where a stored chain breaks.
//!
//! An event's hash is SHA-256 over a fixed prefix and its canonical text, which contains the hash before it. So one hash
//! stands for all that came before; the numbers have no gaps; whatever was changed, removed or put in between shows at its
//! first number.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use aeterna_kit::hex::hex;

use super::checkpoint::Checkpoint;

/// What the first event stands on.
pub const GENESIS: [u8; 32] = [0; 32];

/// Keeps these hashes apart from all others of the same text.
const PREFIX: &[u8] = b"aeterna.audit.v1\n";

/// Returns the hash of an event.
#[must_use]
pub fn hash(canonical: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(PREFIX)
        .chain_update(canonical)
        .finalize()
        .into()
}

/// One stored event.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its number.
    pub seq: i64,
    /// Its text.
    pub canonical: String,
    /// The hash before it, as stored.
    pub prev_hash: Vec<u8>,
    /// Its own hash, as stored.
    pub hash: Vec<u8>,
}

/// What is wrong at a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The event of this number is not there.
    Missing,
    /// It does not stand on the event before it.
    Unlinked,
    /// Its text is not the one that was hashed.
    Changed,
    /// Its text speaks of another number or tenant.
    Misplaced,
    /// The chain's end is not the last event.
    HeadDiffers,
    /// A checkpoint knows an event of this number; the chain ends before it.
    Truncated,
    /// A checkpoint knows another event of this number; everything since the checkpoint before it may have been rewritten.
    Rewritten,
    /// A checkpoint's signature is not ours.
    CheckpointForged,
}

/// Where a chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// The first number that is bad.
    pub seq: i64,
    /// What is wrong there.
    pub fault: Fault,
}

/// A walk along a chain, from its beginning or from a checkpoint.
#[derive(Debug)]
pub struct Walk<'a> {
    tenant: &'a str,
    checkpoints: std::iter::Peekable<std::slice::Iter<'a, Checkpoint>>,
    anchored: i64,
    seq: i64,
    /// The hash to stand on; none before the event of the checkpoint that the walk begins at, whose own hash is known.
    hash: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    /// Begins a walk. The checkpoints have good signatures and rise.
    #[must_use]
    pub fn begin(tenant: &'a str, checkpoints: &'a [Checkpoint]) -> Self {
        Self {
            tenant,
            checkpoints: checkpoints.iter().peekable(),
            anchored: 0,
            seq: 0,
            hash: Some(GENESIS.to_vec()),
        }
    }

    /// Begins a walk at the event of one of the checkpoints: what is before it is taken to be as it was then. Begins at the
    /// beginning when there is no checkpoint at that place.
    #[must_use]
    pub fn resume(tenant: &'a str, checkpoints: &'a [Checkpoint], at: usize) -> Self {
        let later = checkpoints.get(at..).unwrap_or_default();
        let Some(mark) = later.first() else {
            return Self::begin(tenant, checkpoints);
        };
        Self {
            anchored: mark.seq - 1,
            seq: mark.seq - 1,
            hash: None,
            ..Self::begin(tenant, later)
        }
    }

    /// Goes on with a walk that ended at an event with a hash, all of which was good.
    #[must_use]
    pub fn go_on(tenant: &'a str, checkpoints: &'a [Checkpoint], seq: i64, hash: Vec<u8>) -> Self {
        Self {
            seq,
            hash: Some(hash),
            ..Self::begin(tenant, checkpoints)
        }
    }

    /// Returns the hash of that event; none before the first step from a checkpoint.
    #[must_use]
    pub fn hash(&self) -> Option<&[u8]> {
        self.hash.as_deref()
    }

    /// Returns the number of the last event that was found good, or taken to be.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Goes on by one event.
    ///
    /// # Errors
    /// [`Break`], after which there is nothing to walk on.
    pub fn step(&mut self, link: &Link) -> Result<(), Break> {
        let seq = self.seq + 1;
        let broken = |fault| Err(Break { seq, fault });
        if link.seq != seq {
            return broken(Fault::Missing);
        }
        if self.hash.as_ref().is_some_and(|hash| *hash != link.prev_hash) {
            return broken(Fault::Unlinked);
        }
        if link.hash != hash(&link.canonical) {
            return broken(Fault::Changed);
        }
        if !self.is_in_place(link) {
            return broken(Fault::Misplaced);
        }
        while let Some(mark) = self.checkpoints.next_if(|mark| mark.seq <= seq) {
            if mark.seq == seq && mark.hash != hex(&link.hash) {
                return Err(Break {
                    seq: self.anchored + 1,
                    fault: Fault::Rewritten,
                });
            }
            self.anchored = mark.seq;
        }
        self.seq = seq;
        self.hash = Some(link.hash.clone());
        Ok(())
    }

    fn is_in_place(&self, link: &Link) -> bool {
        let Ok(text) = serde_json::from_str::<Value>(&link.canonical) else {
            return false;
        };
        let field = |name: &str| text.get(name).cloned().unwrap_or_default();
        field("tenantId") == self.tenant && field("seq") == link.seq && field("prevHash") == hex(&link.prev_hash)
    }

    /// Ends the walk at the chain's head, `(0, GENESIS)` for none. Returns the number of events.
    ///
    /// # Errors
    /// [`Break`].
    pub fn end(mut self, head_seq: i64, head_hash: &[u8]) -> Result<i64, Break> {
        if self.checkpoints.any(|mark| mark.seq > self.seq) {
            return Err(Break {
                seq: self.seq + 1,
                fault: Fault::Truncated,
            });
        }
        if head_seq > self.seq {
            return Err(Break {
                seq: self.seq + 1,
                fault: Fault::Missing,
            });
        }
        if head_seq < self.seq || self.hash.as_ref().is_some_and(|hash| *hash != head_hash) {
            return Err(Break {
                seq: self.seq,
                fault: Fault::HeadDiffers,
            });
        }
        Ok(self.seq)
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
