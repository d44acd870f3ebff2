//! Clean: the ledger does the work ([`crate::cleaner`]); the move only waits for it.

use aeterna_kit::clock;
use aeterna_tenancy::cleanups;
use aeterna_tenancy::moves::step::Observation;

use crate::Result;
use crate::drive::{Context, Driven, Pace};

/// How often the ledger is looked at.
const POLL: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

/// Looks whether the ledger's entry is done.
///
/// # Errors
/// Whatever the database answers.
pub async fn look(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let done = cleanups::is_done(&context.pool, driven.moving.move_id).await?;
    let progress = &mut driven.moving.progress;
    progress.waiting_for = (!done).then(|| "stalled requests to be over, then both runs of the clean-up".to_owned());
    progress.not_before = clock::now() + POLL;
    Ok((Observation::Cleaned { done }, Pace::Rest))
}
