//! After the flip: how long it took, and at the end of the retention the source's entry into the clean-up ledger.

use std::time::Duration;

use sqlx::PgPool;

use super::Claim;
use crate::{Error, Result, cleanups};

/// Walks a claimed move from Retain to Clean and enters its source into the ledger, in one transaction, if the retention
/// is over by the database's clock; returns whether it was.
///
/// # Errors
/// [`Error::Fenced`] when the claim was lost.
pub async fn begin_clean(pool: &PgPool, claim: Claim) -> Result<bool> {
    let operation = || format!("begin the clean-up of move {}", claim.move_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let walked = sqlx::query(
        "update routing.moves set step = 'Clean', step_at = now(), updated_at = now(), lease_until = '-infinity',
             not_before = now() + make_interval(secs => $3)
         where move_id = $1 and attempt = $2 and step = 'Retain' and retain_until <= now()",
    )
    .bind(claim.move_id)
    .bind(claim.attempt)
    .bind(cleanups::STALE_MOVER.as_secs_f64())
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    if walked.rows_affected() != 1 {
        let ours: bool = sqlx::query_scalar(
            "select exists (select from routing.moves where move_id = $1 and attempt = $2 and step = 'Retain')",
        )
        .bind(claim.move_id)
        .bind(claim.attempt)
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
        return if ours {
            Ok(false)
        } else {
            Err(Error::Fenced { move_id: claim.move_id })
        };
    }
    cleanups::enter(&mut tx, claim.move_id, cleanups::What::Source).await?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(true)
}

/// Records how long writers were held at the flip, and gives the claim back until the retention ends.
///
/// # Errors
/// [`Error::Fenced`] when the claim was lost.
pub async fn record_pause(pool: &PgPool, claim: Claim, pause: Duration) -> Result<()> {
    let operation = || format!("record the pause of move {}", claim.move_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let recorded = sqlx::query(
        "update routing.moves set pause_us = $3, lease_until = '-infinity', updated_at = now()
         where move_id = $1 and attempt = $2 and step = 'Retain'",
    )
    .bind(claim.move_id)
    .bind(claim.attempt)
    .bind(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    if recorded.rows_affected() != 1 {
        return Err(Error::Fenced { move_id: claim.move_id });
    }
    tx.commit().await.map_err(Error::database(operation()))
}
