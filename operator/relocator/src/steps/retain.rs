//! Retain: the source is kept until the retention is over or a new move began.

use std::time::Duration;

use aeterna_tenancy::moves::begin_clean;
use aeterna_tenancy::moves::step::Observation;

use crate::Result;
use crate::drive::{Context, Driven, Pace};

/// A claim comes when the retention is over; this is for a database whose clock went back.
const POLL: Duration = Duration::from_secs(1);

/// Enters the source into the clean-up ledger when the retention is over, by the database's clock.
///
/// # Errors
/// Whatever the database answers.
pub async fn look(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let over = begin_clean(&context.pool, driven.claim()).await?;
    Ok((Observation::Retained { over }, Pace::Rest(POLL)))
}
