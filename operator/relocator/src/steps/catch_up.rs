//! CatchUp: applies what changed since the watermark, deletions too, and raises the watermark.
//!
//! The watermark is the xmin of the snapshot that the delta was read in, and is raised only after the store has
//! acknowledged the delta. Somebody else's long transaction holds xmin back: then the same rows are read again and again,
//! but applied only once, for their versions are remembered.

use std::collections::HashMap;

use uuid::Uuid;

use aeterna_kit::clock;
use aeterna_projection::store::Stamp;
use aeterna_projection::truth::{self, Row};
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::moves::step::{FEW_CHANGES, Observation};
use aeterna_tenancy::moves::{LEASE, Step, save};

use crate::Result;
use crate::drive::{Context, Driven, Pace};

/// Rows of one request.
const BATCH: usize = 1_000;

/// How often an index that is being built is looked at.
const INDEX_POLL: jiff::SignedDuration = jiff::SignedDuration::from_millis(500);

/// Versions at or after the watermark that the target has acknowledged in this attempt.
#[derive(Debug, Default)]
pub struct Acknowledged(HashMap<Uuid, i64>);

impl Acknowledged {
    /// Returns the rows whose versions are not acknowledged yet.
    #[must_use]
    pub fn missing<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        rows.iter()
            .filter(|row| self.0.get(&row.point_id).is_none_or(|known| *known < row.version))
            .collect()
    }

    /// Remembers rows; forgets all others, which a raised watermark has left behind.
    fn replace(&mut self, rows: &[Row]) {
        self.0 = rows.iter().map(|row| (row.point_id, row.version)).collect();
    }
}

/// Applies one delta.
///
/// # Errors
/// Whatever the truth or the store answers; the watermark is then where it was.
pub async fn catch_up(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    // Copy saved it before its first page; a row without one would start from the beginning of time.
    let since = driven
        .moving
        .progress
        .watermark
        .unwrap_or(aeterna_tenancy::moves::Xid(0));
    let delta = truth::read_delta(&context.pool, &driven.scope, since).await?;
    let missing: Vec<Row> = driven.acknowledged.missing(&delta.rows).into_iter().cloned().collect();
    for batch in missing.chunks(BATCH) {
        let stamp = Stamp {
            tenant: driven.scope.tenant(),
            generation: driven.moving.generation,
        };
        driven
            .store
            .upsert(&driven.target.collection, stamp, batch, REQUEST_DEADLINE)
            .await?;
        save(
            &context.pool,
            driven.claim(),
            Step::CatchUp,
            &driven.moving.progress,
            LEASE,
        )
        .await?;
    }
    driven.acknowledged.replace(&delta.rows);
    let applied = u64::try_from(missing.len()).unwrap_or(u64::MAX);
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
    if state.indexed {
        return Ok((Observation::CaughtUp { applied, indexed: true }, Pace::On));
    }
    progress.not_before = clock::now() + INDEX_POLL;
    Ok((
        Observation::CaughtUp {
            applied,
            indexed: false,
        },
        Pace::Rest,
    ))
}
