//! Reading moves, for status and for people.

use sqlx::PgPool;

use aeterna_kit::ids::TenantId;

use super::row::COLUMNS;
use crate::moves::Move;
use crate::{Error, Result};

/// Fetches the last `limit` moves of a tenant, newest first.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_moves(pool: &PgPool, tenant: &TenantId, limit: i64) -> Result<Vec<Move>> {
    let operation = || format!("read the moves of {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.moves m where tenant_id = $1 order by created_at desc, generation desc limit $2"
    )))
    .bind(tenant.as_str())
    .bind(limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(operation()))
}

/// Fetches all moves that are not final or became so within the last minute: what a status display has to follow.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_recent_moves(pool: &PgPool) -> Result<Vec<Move>> {
    let operation = || "read the running moves".to_owned();
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.moves m
         where step not in ('Done', 'Cancelled') or finished_at > now() - interval '1 minute' order by created_at"
    )))
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(operation()))
}
