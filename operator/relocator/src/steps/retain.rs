//! Retain: the source is kept until the retention is over or a new move began.

use aeterna_kit::clock;
use aeterna_tenancy::moves::begin_clean;
use aeterna_tenancy::moves::step::Observation;

use crate::Result;
use crate::drive::{Context, Driven, Pace};

/// Enters the source into the clean-up ledger when the retention is over.
///
/// # Errors
/// Whatever the database answers.
pub async fn look(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    // A flip sets it; a row without one has just been flipped by a clock that is ahead.
    let until = driven.moving.retain_until.unwrap_or_else(clock::now);
    if clock::now() >= until {
        begin_clean(&context.pool, driven.claim()).await?;
    }
    driven.moving.progress.not_before = until;
    Ok((Observation::Retained { until }, Pace::Rest))
}
