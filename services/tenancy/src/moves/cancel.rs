//! Cancelling a move before its cutover.

use sqlx::PgPool;

use crate::ids::{MoveId, Term};
use crate::{Error, Result, cleanups, leader};

/// Cancels a move that has not cut over, and enters its points into the clean-up ledger. Returns whether it won against
/// the flip: a move that is in Retain by now stays there.
///
/// # Errors
/// [`Error::TermOver`] for an old leader.
pub async fn cancel(pool: &PgPool, term: Term, move_id: MoveId) -> Result<bool> {
    let operation = || format!("cancel move {move_id}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    // The flip updates the same row with `step = 'Cutover'` in its condition: one of the two finds no row.
    let cancelled = sqlx::query(
        "update routing.moves set step = 'Cancelled', step_at = now(), updated_at = now(), finished_at = now(),
             waiting_for = null
         where move_id = $1 and step in ('Copy', 'CatchUp', 'Verify', 'Await', 'Cutover')",
    )
    .bind(move_id)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?
    .rows_affected()
        == 1;
    if cancelled {
        // Exactly the move's own generation: the tenant may live in the target under another one.
        cleanups::enter(&mut tx, move_id, cleanups::What::Target).await?;
    }
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(cancelled)
}
