//! The ledger of what may be deleted, and when.
//!
//! Nothing deletes a tenant's points in bulk but through an entry here. An entry names the tenant, the shard in the life it
//! had then, and a range of generations; the route and unfinished moves use higher ones (invariant I3), so a delete that
//! stalls for hours and lands after the tenant has come back removes nothing of the new projection. Each entry is run
//! twice: what a stalled writer brought between is gone after the second run.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::ids::{Generation, MoveId, ShardId};
use crate::{Error, Result};

/// The longest that a request to Qdrant may take; a store that answers later is not believed.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Not before a stale mover's lease and its last request are over: lease 12 s + request deadline 5 s + margin 3 s.
pub const STALE_MOVER: Duration = Duration::from_secs(20);

/// Between the two runs of an entry: two request deadlines.
pub const BETWEEN_RUNS: Duration = Duration::from_secs(10);

/// Runs of an entry until it is done.
pub const RUNS: i32 = 2;

/// An entry that is due.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Cleanup {
    /// Its number.
    pub cleanup_id: i64,
    /// The move that entered it.
    pub move_id: MoveId,
    /// Where to delete.
    pub shard_id: ShardId,
    /// The life of the shard that it is about; another one is left alone.
    pub shard_identity: Uuid,
    /// Whose points.
    pub tenant_id: String,
    /// The lowest generation to delete.
    pub lowest: Generation,
    /// The highest generation to delete.
    pub generation_bound: Generation,
    /// Runs so far.
    pub runs: i32,
}

/// Which points of a move are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A finished move: all that its source held up to the write generation at the flip.
    Source,
    /// A cancelled move: exactly its own generation in the target.
    Target,
}

/// Enters the clean-up of a move, once.
pub(crate) async fn enter(tx: &mut PgConnection, move_id: MoveId, what: What) -> Result<()> {
    let columns = match what {
        What::Source => "source, source_identity, tenant_id, 0, base",
        What::Target => "target, target_identity, tenant_id, generation, generation",
    };
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "insert into routing.cleanups
             (move_id, shard_id, shard_identity, tenant_id, lowest, generation_bound, not_before)
         select move_id, {columns}, now() + make_interval(secs => $2) from routing.moves where move_id = $1
         on conflict (move_id) do nothing"
    )))
    .bind(move_id)
    .bind(STALE_MOVER.as_secs_f64())
    .execute(tx)
    .await
    .map_err(Error::database(format!("enter the clean-up of move {move_id}")))?;
    Ok(())
}

/// Fetches the entries that are due.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_due(pool: &PgPool) -> Result<Vec<Cleanup>> {
    let operation = || "read the clean-up ledger".to_owned();
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query_as(
        "select cleanup_id, move_id, shard_id, shard_identity, tenant_id, lowest, generation_bound, runs
         from routing.cleanups where done_at is null and not_before <= now() order by not_before limit 100",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(operation()))
}

/// How far a move's clean-up is.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Standing {
    /// Both runs are done, or nothing is left to delete.
    pub done: bool,
    /// Why the last run failed; none after a success.
    pub error: Option<String>,
}

/// Reads how far the clean-up of a move is; not done when none was entered.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_standing(pool: &PgPool, move_id: MoveId) -> Result<Standing> {
    let operation = || format!("read the clean-up of move {move_id}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let found = sqlx::query_as("select done_at is not null as done, error from routing.cleanups where move_id = $1")
        .bind(move_id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    Ok(found.unwrap_or(Standing {
        done: false,
        error: None,
    }))
}

/// The longest pause after runs that failed; the first is a second, and each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Records why a run failed; the entry is due again after a pause that grows with its failures, so one that cannot succeed
/// leaves its place to others.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn record_failure(pool: &PgPool, cleanup: &Cleanup, error: &str) -> Result<()> {
    let operation = || format!("record a failure of clean-up {}", cleanup.cleanup_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query(
        "update routing.cleanups set failures = failures + 1, error = $3,
             not_before = now() + make_interval(secs => least(2 ^ least(failures, 16), $4))
         where cleanup_id = $1 and runs = $2 and done_at is null",
    )
    .bind(cleanup.cleanup_id)
    .bind(cleanup.runs)
    .bind(error)
    .bind(LONGEST_PAUSE.as_secs_f64())
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// The store has deleted the points.
    Deleted,
    /// The collection is gone, or is another life of the shard: nothing is left to delete.
    SourceGone,
}

/// Records a run; `SourceGone` and the second run complete the entry. A run that somebody else recorded meanwhile does
/// not count twice.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn record_run(pool: &PgPool, cleanup: &Cleanup, run: Run) -> Result<()> {
    let operation = || format!("record a run of clean-up {}", cleanup.cleanup_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query(
        "update routing.cleanups set runs = runs + 1, failures = 0, error = null,
             not_before = now() + make_interval(secs => $3),
             done_at = case when $4 or runs + 1 >= $5 then now() end
         where cleanup_id = $1 and runs = $2 and done_at is null",
    )
    .bind(cleanup.cleanup_id)
    .bind(cleanup.runs)
    .bind(BETWEEN_RUNS.as_secs_f64())
    .bind(run == Run::SourceGone)
    .bind(RUNS)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}
