//! The term of the leading operator: outside of Kubernetes, this number is the fence against an old leader that wakes up.

use sqlx::{PgConnection, PgPool};

use crate::{Error, Result, Term};

/// Raises the term; called once by an operator that has taken the Lease.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn raise_term(pool: &PgPool) -> Result<Term> {
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction("raise the leader's term"))?;
    let term = sqlx::query_scalar("update routing.leader set term = term + 1 returning term")
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database("raise the leader's term"))?;
    tx.commit().await.map_err(Error::database("commit the leader's term"))?;
    Ok(term)
}

/// Refuses when the term is no longer `mine`; holds it in place until the transaction ends.
///
/// # Errors
/// [`Error::TermOver`] when a newer leader has raised it.
pub async fn check_term(tx: &mut PgConnection, mine: Term) -> Result<()> {
    let current: Term = sqlx::query_scalar("select term from routing.leader for share")
        .fetch_one(tx)
        .await
        .map_err(Error::database("read the leader's term"))?;
    if current == mine {
        Ok(())
    } else {
        Err(Error::TermOver {
            mine: mine.0,
            current: current.0,
        })
    }
}
