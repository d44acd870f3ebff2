//! The list of shared shards: one that is taken out of it takes no new tenants, and takes them again when it is back.

use sqlx::PgPool;

use crate::ids::{ShardId, Term};
use crate::{Error, Result, leader};

/// Drains the ready shared shards that are not in the list, and makes the draining ones that are in it ready again.
///
/// # Errors
/// [`Error::TermOver`] for an old leader.
pub async fn follow_list(pool: &PgPool, term: Term, listed: &[ShardId]) -> Result<()> {
    let operation = "follow the list of shared shards";
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation))?;
    leader::check_term(&mut tx, term).await?;
    let names: Vec<&str> = listed.iter().map(ShardId::as_str).collect();
    sqlx::query(
        "update routing.shards set state = case state when 'ready' then 'draining' else 'ready' end
         where kind = 'shared' and ((state = 'ready' and shard_id <> all ($1))
                                 or (state = 'draining' and shard_id = any ($1)))",
    )
    .bind(names)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation))?;
    tx.commit().await.map_err(Error::database(operation))
}
