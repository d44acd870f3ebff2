//! Claims: who works on a move, and the fencing token that every write of progress carries.

use std::time::Duration;

use sqlx::PgPool;

use super::row::COLUMNS;
use crate::ids::{Attempt, MoveId};
use crate::moves::{Move, Progress, Step};
use crate::{Error, Result};

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(12);

/// The right to work on a move until its lease ends by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The move.
    pub move_id: MoveId,
    /// The token.
    pub attempt: Attempt,
}

/// What becomes of a claim when progress is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is renewed for [`LEASE`].
    Keep,
    /// It is given back, and the move is due again after this time by the database's clock, which also judges it.
    Release(Duration),
}

/// Claims a move whose lease has run out and whose time has come, if there is one.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn claim(pool: &PgPool, lease: Duration) -> Result<Option<Move>> {
    let operation = || "claim a move".to_owned();
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let claimed = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update routing.moves m set attempt = attempt + 1, lease_until = now() + make_interval(secs => $1)
         where move_id = (
             select c.move_id from routing.moves c
             where c.step not in ('Done', 'Cancelled') and c.lease_until < now() and c.not_before <= now()
               and (c.step <> 'Retain' or c.retain_until <= now())
             order by c.lease_until, c.created_at limit 1 for update skip locked)
         returning {COLUMNS}"
    )))
    .bind(lease.as_secs_f64())
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(claimed)
}

const SAVE: &str = "update routing.moves set step = $4, cursor = $5, watermark = $6::text::pg_snapshot, verified_at = $7, total = $8,
             copied = $9, caught_up = $10, lag = $11, compared = $12, repaired = $13, cutover_tries = $14, pause_us = $15,
             waiting_for = $16, error = $17, failures = $18, updated_at = now(),
             lease_until = case when $19 > 0 then now() + make_interval(secs => $19) else '-infinity' end,
             not_before = now() + make_interval(secs => $20),
             step_at = case when step = $4 then step_at else now() end,
             finished_at = case when $4 = 'Done' then now() end
         where move_id = $1 and attempt = $2 and step = $3";

/// Writes the progress of a claimed move and renews its claim or gives it back.
///
/// Demands the same attempt and that the stored step is still `expected`.
///
/// # Errors
/// [`Error::Fenced`] when the claim was lost or the move was cancelled: the worker must stop at once.
pub async fn save(pool: &PgPool, claim: Claim, expected: Step, progress: &Progress, hold: Hold) -> Result<()> {
    let operation = || format!("save the progress of move {}", claim.move_id);
    let Progress {
        step,
        cursor,
        watermark,
        verified_at,
        total,
        copied,
        caught_up,
        lag,
        compared,
        repaired,
        cutover_tries,
        pause_us,
        waiting_for,
        error,
        failures,
    } = progress;
    let (lease, rest) = match hold {
        Hold::Keep => (LEASE, Duration::ZERO),
        Hold::Release(rest) => (Duration::ZERO, rest),
    };
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let saved = sqlx::query(SAVE)
        .bind(claim.move_id)
        .bind(claim.attempt)
        .bind(expected.as_str())
        .bind(step.as_str())
        .bind(cursor)
        .bind(watermark.as_ref().map(|snapshot| snapshot.0.as_str()))
        .bind(verified_at.map(jiff_sqlx::ToSqlx::to_sqlx))
        .bind(total)
        .bind(copied)
        .bind(caught_up)
        .bind(lag)
        .bind(compared)
        .bind(repaired)
        .bind(cutover_tries)
        .bind(pause_us)
        .bind(waiting_for)
        .bind(error)
        .bind(failures)
        .bind(lease.as_secs_f64())
        .bind(rest.as_secs_f64())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    if saved.rows_affected() != 1 {
        return Err(Error::Fenced { move_id: claim.move_id });
    }
    tx.commit().await.map_err(Error::database(operation()))
}
