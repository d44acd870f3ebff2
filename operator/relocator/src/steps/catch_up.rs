//! CatchUp: applies what changed since the watermark, deletions too, and raises the watermark.
//!
//! The watermark is the snapshot that the last delta was read in, and is raised only after the store has acknowledged the
//! delta. So no row is read twice: somebody else's long transaction holds back nothing but its own changes.

use std::time::Duration;

use aeterna_projection::store::{Stamp, Store};
use aeterna_projection::truth::{self, Row, State};
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::moves::step::{FEW_CHANGES, Observation};

use crate::drive::{Context, Driven, Pace};
use crate::{Error, Result};

/// Rows of one request.
const BATCH: usize = 1_000;

/// How often an index that is being built is looked at.
const INDEX_POLL: Duration = Duration::from_millis(500);

/// Applies one delta.
///
/// # Errors
/// Whatever the truth or the store answers; the watermark is then where it was.
pub async fn catch_up(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let since = driven.watermark()?;
    let delta = truth::read_delta(&context.pool, &driven.scope, &since).await?;
    for batch in delta.rows.chunks(BATCH) {
        apply(driven, batch).await?;
        driven.save(context, Step::CatchUp).await?;
    }
    let applied = u64::try_from(delta.rows.len()).unwrap_or(u64::MAX);
    let state = driven.store.fetch_state(&driven.target.collection).await?;
    let progress = &mut driven.moving.progress;
    progress.watermark = Some(delta.watermark);
    progress.lag = i64::try_from(applied).unwrap_or(i64::MAX);
    progress.caught_up += progress.lag;
    progress.waiting_for = match (state.indexed, applied <= FEW_CHANGES) {
        (false, _) => Some("the target to be indexed".to_owned()),
        (true, false) => Some(format!("writes to calm down: {applied} changes since the last look")),
        (true, true) => None,
    };
    let seen = Observation::CaughtUp {
        applied,
        indexed: state.indexed,
    };
    Ok((
        seen,
        if state.indexed {
            Pace::On
        } else {
            Pace::Rest(INDEX_POLL)
        },
    ))
}

async fn apply(driven: &mut Driven, batch: &[Row]) -> Result<()> {
    let collection = &driven.target.collection;
    let stamp = Stamp {
        tenant: driven.scope.tenant(),
        generation: driven.moving.generation,
    };
    driven.store.upsert(collection, stamp, batch, REQUEST_DEADLINE).await?;
    // What changes after a verification is looked at here and, the last of it, under the fence.
    if driven.moving.progress.verified_at.is_some()
        && let Err(error) = recheck(&driven.store, collection, stamp, batch, REQUEST_DEADLINE).await
    {
        tracing::warn!(error = %error, "the verification no longer counts");
        driven.moving.progress.verified_at = None;
    }
    Ok(())
}

/// Refuses when a row that was just applied is not in the target. Redundant, and kept: it is cheap, and the last look.
///
/// # Errors
/// [`Error::Unrepairable`], or whatever the store answers.
pub async fn recheck(
    store: &Store,
    collection: &str,
    stamp: Stamp<'_>,
    rows: &[Row],
    deadline: Duration,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let points: Vec<uuid::Uuid> = rows.iter().map(|row| row.point_id).collect();
    let found = store.fetch_payloads(collection, &points, deadline).await?;
    for row in rows {
        let right = found.iter().any(|point| {
            point.point_id == row.point_id
                && point.generation == stamp.generation.0
                && point.version == row.version
                && point.deleted == (row.state == State::Deleted)
        });
        if !right {
            return Err(Error::Unrepairable {
                point: row.point_id,
                shard: collection.to_owned(),
                holder: "another version than the last delta brought".to_owned(),
            });
        }
    }
    Ok(())
}
