//! Cutover: under the closed fence, the last delta and the switch of the route.

use std::time::Duration;

use aeterna_kit::clock;
use aeterna_projection::store::{Stamp, Store};
use aeterna_projection::truth::{self, Row, State};
use aeterna_tenancy::moves::cutover::{Fence, Flip};
use aeterna_tenancy::moves::step::Observation;
use aeterna_tenancy::moves::{Xid, record_pause};

use crate::Result;
use crate::drive::{Context, Driven, Pace};
use crate::probe::Point;

/// The first and the longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the flip itself needs of the hold budget.
const FLIP_RESERVE: Duration = Duration::from_millis(40);

/// Tries once. A try that does not fit into the hold budget, or meets a closed door, changes nothing.
///
/// # Errors
/// Only when it is unknown whether the flip was committed: the next claim reads it from the move's row.
pub async fn try_cutover(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    driven.moving.progress.cutover_tries += 1;
    let refused = (Observation::Tried { flipped: false }, Pace::On);
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
            Ok((Observation::Tried { flipped: true }, Pace::Rest))
        }
    }
}

/// Applies what the target lacks, and looks at every changed point once more.
async fn apply_last_delta(driven: &Driven, fence: &mut Fence) -> Result<usize> {
    let since = driven.moving.progress.watermark.unwrap_or(Xid(0));
    let rows = truth::fetch_changed_since(fence.connection(), driven.tenant().as_str(), since).await?;
    let missing: Vec<Row> = driven.acknowledged.missing(&rows).into_iter().cloned().collect();
    let stamp = Stamp {
        tenant: driven.scope.tenant(),
        generation: driven.moving.generation,
    };
    let left = fence.budget().saturating_sub(FLIP_RESERVE);
    driven
        .store
        .upsert(&driven.target.collection, stamp, &missing, left)
        .await?;
    let left = fence.budget().saturating_sub(FLIP_RESERVE);
    recheck(&driven.store, &driven.target.collection, &rows, left).await?;
    Ok(missing.len())
}

/// Refuses when a changed point is not in the target as its row is. Redundant, and kept: it is cheap, and the last look.
async fn recheck(store: &Store, collection: &str, rows: &[Row], deadline: Duration) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let points: Vec<uuid::Uuid> = rows.iter().map(|row| row.point_id).collect();
    let found = store.fetch(collection, &points, deadline).await?;
    for row in rows {
        let right = found.iter().any(|point| {
            point.point_id == row.point_id
                && point.version == row.version
                && point.deleted == (row.state == State::Deleted)
        });
        if !right {
            return Err(crate::Error::Unrepairable {
                point: row.point_id,
                shard: collection.to_owned(),
                holder: "another version than the last delta brought".to_owned(),
            });
        }
    }
    Ok(())
}

fn note_pause(driven: &mut Driven, what: &str) {
    let progress = &mut driven.moving.progress;
    let doublings = u32::try_from(progress.cutover_tries.clamp(1, 8) - 1).unwrap_or_default();
    let pause = (PAUSE.0 * 2_u32.pow(doublings)).min(PAUSE.1);
    progress.not_before = clock::now() + pause;
    progress.waiting_for = Some(what.to_owned());
}
