//! Cutover: under the closed fence, the last delta and the switch of the route.

use std::time::Duration;

use aeterna_kit::clock;
use aeterna_projection::store::Stamp;
use aeterna_projection::truth;
use aeterna_tenancy::moves::cutover::{Fence, Flip};
use aeterna_tenancy::moves::record_pause;
use aeterna_tenancy::moves::step::{Observation, is_fresh};
use tokio::time::Instant;

use crate::drive::{Context, Driven, Pace};
use crate::probe::Point;
use crate::steps::catch_up::recheck;
use crate::{Error, Result};

/// The first and the longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the flip itself needs of the hold budget.
const FLIP_RESERVE: Duration = Duration::from_millis(40);

/// Tries once. A try that does not fit into the hold budget, or meets a closed door, changes nothing.
///
/// # Errors
/// Only when it is unknown whether the flip was committed: the next claim reads it from the move's row.
pub async fn try_cutover(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let refused = (Observation::Tried { flipped: false }, Pace::On);
    // A claim may resume here after hours; the way back through CatchUp and Verify is short when little has changed.
    let verified_at = driven.moving.progress.verified_at;
    if !verified_at.is_some_and(|at| is_fresh(at, clock::now())) {
        return Ok(refused);
    }
    driven.moving.progress.cutover_tries += 1;
    let Some(mut fence) = Fence::close(&context.pool, driven.scope.tenant()).await? else {
        note_pause(driven, "open writes to end");
        return Ok(refused);
    };
    context.probe.reach(Point::FenceClosed).await;
    let applied = match apply_last_delta(driven, &mut fence).await {
        Ok(applied) => applied,
        Err(error) => {
            // Dropping the fence opens it; nothing has changed.
            drop(fence);
            tracing::info!(error = %error, "the last delta did not fit into the hold budget");
            if matches!(error, Error::Unrepairable { .. }) {
                driven.moving.progress.verified_at = None;
            }
            note_pause(driven, "a cutover that fits into its hold budget");
            return Ok(refused);
        }
    };
    context.probe.reach(Point::DeltaApplied).await;
    driven.moving.progress.caught_up += i64::try_from(applied).unwrap_or(i64::MAX);
    match fence.flip(&driven.moving, &driven.moving.progress).await? {
        Flip::Refused => {
            note_pause(driven, "the route to be as it was when the move was recorded");
            Ok(refused)
        }
        Flip::Done { pause } => {
            metrics::histogram!("relocator_cutover_pause_seconds").record(pause);
            tracing::info!(tenant = %driven.moving.tenant_id, ?pause, "the route is switched");
            context.probe.reach(Point::Flipped).await;
            // Only for the status: a crash before this loses a figure, nothing else.
            record_pause(&context.pool, driven.claim(), pause).await?;
            Ok((Observation::Tried { flipped: true }, Pace::On))
        }
    }
}

/// Applies what the target lacks, and looks at it once more.
async fn apply_last_delta(driven: &Driven, fence: &mut Fence) -> Result<usize> {
    let since = driven.watermark()?;
    let rows = truth::fetch_changed_since(fence.connection(), driven.tenant().as_str(), &since).await?;
    let collection = &driven.target.collection;
    let stamp = Stamp {
        tenant: driven.scope.tenant(),
        generation: driven.moving.generation,
    };
    let left = |fence: &Fence| fence.budget().saturating_sub(FLIP_RESERVE);
    driven.store.upsert(collection, stamp, &rows, left(fence)).await?;
    recheck(&driven.store, collection, stamp, &rows, left(fence)).await?;
    Ok(rows.len())
}

fn note_pause(driven: &mut Driven, what: &str) {
    let progress = &mut driven.moving.progress;
    let doublings = u32::try_from(progress.cutover_tries.clamp(1, 8) - 1).unwrap_or_default();
    let pause = (PAUSE.0 * 2_u32.pow(doublings)).min(PAUSE.1);
    progress.waiting_for = Some(what.to_owned());
    driven.cutover_due = Some(Instant::now() + pause);
}
