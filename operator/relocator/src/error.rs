//! What can stop a step.

use aeterna_projection::{store, truth};

/// The result of a step's work.
pub type Result<T> = std::result::Result<T, Error>;

/// One variant for each source; [`Error::is_fenced`] tells the one after which a worker must stop at once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Routes, shards or moves could not be read or written.
    #[error(transparent)]
    Tenancy(#[from] aeterna_tenancy::Error),
    /// The truth could not be read or written.
    #[error(transparent)]
    Truth(#[from] truth::Error),
    /// The vector store did not do its part.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A difference that an upsert by the rules does not repair.
    #[error("point {point} of shard {shard} cannot be repaired: it is held by {holder}")]
    Unrepairable {
        /// The point.
        point: uuid::Uuid,
        /// The shard.
        shard: String,
        /// Who holds it: another tenant, or a higher version than the truth has.
        holder: String,
    },
    /// The tenant's route changed during a comparison of its live projection: ask again.
    #[error("tenant {tenant} moved during the comparison; verify again")]
    Moved {
        /// The tenant.
        tenant: String,
    },
    /// A move behind Copy has no watermark: its row was changed by hand.
    #[error("move {move_id} has no watermark; cancel it")]
    NoWatermark {
        /// The move.
        move_id: aeterna_tenancy::MoveId,
    },
    /// A stored tenant id is not one.
    #[error("the stored tenant id is not valid")]
    Tenant(#[from] aeterna_kit::ids::InvalidTenantId),
}

impl Error {
    /// Tells whether the claim was lost: somebody else goes on, or the move was cancelled.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Tenancy(aeterna_tenancy::Error::Fenced { .. }))
    }
}

/// Writes an error with its causes, for a status that people read.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let part = source.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        cause = source.source();
    }
    text
}
