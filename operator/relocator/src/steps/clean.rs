//! Clean: the ledger does the work ([`crate::cleaner`]); the move only waits for it, and shows its error.

use std::time::Duration;

use aeterna_tenancy::cleanups;
use aeterna_tenancy::moves::step::Observation;

use crate::Result;
use crate::drive::{Context, Driven, Pace};

/// How often the ledger is looked at.
const POLL: Duration = Duration::from_secs(1);

/// Looks whether the ledger's entry is done.
///
/// # Errors
/// Whatever the database answers.
pub async fn look(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let cleanups::Standing { done, error } = cleanups::fetch_standing(&context.pool, driven.moving.move_id).await?;
    let progress = &mut driven.moving.progress;
    progress.failures = 0;
    progress.waiting_for = match (done, &error) {
        (true, _) => None,
        (false, None) => Some("stalled requests to be over, then both runs of the clean-up".to_owned()),
        (false, Some(_)) => Some("the next run of the clean-up".to_owned()),
    };
    progress.error = error;
    Ok((Observation::Cleaned { done }, Pace::Rest(POLL)))
}
