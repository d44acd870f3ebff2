//! A move as its row in `routing.moves`.

use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::ids::{Attempt, Generation, MoveId, ShardId};
use crate::moves::Step;

/// A database snapshot (`pg_snapshot`, as text): which transactions' changes it sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub String);

/// A recorded move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its identity.
    pub move_id: MoveId,
    /// The tenant that moves.
    pub tenant_id: String,
    /// Who asked for it: `<TenantShard uid>/<its metadata.generation>`.
    pub operation: String,
    /// The shard that the route named when the move was recorded.
    pub source: ShardId,
    /// The identity of that life of the source.
    pub source_identity: Uuid,
    /// The shard that the route shall name.
    pub target: ShardId,
    /// The identity of that life of the target.
    pub target_identity: Uuid,
    /// The route's write generation when the move was recorded.
    pub base: Generation,
    /// The generation of the projection that the move builds.
    pub generation: Generation,
    /// The fencing token of the claim in force.
    pub attempt: Attempt,
    /// How long the source is kept after the flip.
    pub retention: SignedDuration,
    /// What changes while the move runs.
    pub progress: Progress,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When its step began.
    pub step_at: Timestamp,
    /// When the route was switched.
    pub flipped_at: Option<Timestamp>,
    /// Until when the source is kept.
    pub retain_until: Option<Timestamp>,
    /// When it became `Done` or `Cancelled`.
    pub finished_at: Option<Timestamp>,
}

/// What a relocator writes about a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The step.
    pub step: Step,
    /// Copy: the last point of the last acknowledged page.
    pub cursor: Option<Uuid>,
    /// CatchUp: every change that this snapshot sees is in the target.
    pub watermark: Option<Snapshot>,
    /// When the last pass without a repair ended.
    pub verified_at: Option<Timestamp>,
    /// Live rows when the copy began, about.
    pub total: i64,
    /// Rows copied.
    pub copied: i64,
    /// Changed rows applied by CatchUp and Cutover.
    pub caught_up: i64,
    /// Changed rows in the last delta.
    pub lag: i64,
    /// Points compared by the last verification.
    pub compared: i64,
    /// Differences repaired by all verifications.
    pub repaired: i64,
    /// Cutovers tried.
    pub cutover_tries: i32,
    /// How long the fence was closed at the flip, in microseconds.
    pub pause_us: Option<i64>,
    /// What the move waits for, as a sentence.
    pub waiting_for: Option<String>,
    /// The last error, until a step succeeds.
    pub error: Option<String>,
    /// Steps that failed since the last success.
    pub failures: i32,
}

impl Progress {
    /// Forgets the last error: something has succeeded.
    pub fn note_success(&mut self) {
        self.failures = 0;
        if self.error.take().is_some() {
            // It said when the next try would be.
            self.waiting_for = None;
        }
    }
}

/// The select list that [`Move`] reads; `m` is the alias of `routing.moves`.
pub(super) const COLUMNS: &str = "m.move_id, m.tenant_id, m.operation, m.source, m.source_identity, m.target,
    m.target_identity, m.base, m.generation, m.attempt, extract(epoch from m.retention)::bigint as retention_seconds,
    m.step, m.cursor, m.watermark::text as watermark, m.verified_at, m.total, m.copied, m.caught_up, m.lag,
    m.compared, m.repaired, m.cutover_tries, m.pause_us, m.waiting_for, m.error,
    m.failures, m.created_at, m.step_at, m.flipped_at, m.retain_until, m.finished_at";

impl FromRow<'_, PgRow> for Move {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column)
                .map(jiff_sqlx::Timestamp::to_jiff)
        };
        let maybe_time = |column: &str| {
            row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)
                .map(|at| at.map(jiff_sqlx::Timestamp::to_jiff))
        };
        let step = Step::try_from(row.try_get::<String, _>("step")?).map_err(|source| sqlx::Error::ColumnDecode {
            index: "step".to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self {
            move_id: row.try_get("move_id")?,
            tenant_id: row.try_get("tenant_id")?,
            operation: row.try_get("operation")?,
            source: row.try_get("source")?,
            source_identity: row.try_get("source_identity")?,
            target: row.try_get("target")?,
            target_identity: row.try_get("target_identity")?,
            base: row.try_get("base")?,
            generation: row.try_get("generation")?,
            attempt: row.try_get("attempt")?,
            retention: SignedDuration::from_secs(row.try_get("retention_seconds")?),
            progress: Progress {
                step,
                cursor: row.try_get("cursor")?,
                watermark: row.try_get::<Option<String>, _>("watermark")?.map(Snapshot),
                verified_at: maybe_time("verified_at")?,
                total: row.try_get("total")?,
                copied: row.try_get("copied")?,
                caught_up: row.try_get("caught_up")?,
                lag: row.try_get("lag")?,
                compared: row.try_get("compared")?,
                repaired: row.try_get("repaired")?,
                cutover_tries: row.try_get("cutover_tries")?,
                pause_us: row.try_get("pause_us")?,
                waiting_for: row.try_get("waiting_for")?,
                error: row.try_get("error")?,
                failures: row.try_get("failures")?,
            },
            created_at: time("created_at")?,
            step_at: time("step_at")?,
            flipped_at: maybe_time("flipped_at")?,
            retain_until: maybe_time("retain_until")?,
            finished_at: maybe_time("finished_at")?,
        })
    }
}
