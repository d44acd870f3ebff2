//! What is forgotten by itself: jobs of long ago. And which connections there are, for what lies outside of the database.

use sqlx::PgPool;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{system_tx, tenant_tx, timed};

use super::schedules::scope_of;
use super::{Error, PIECE, cannot};

/// Fetches tenants that ever started a job, in the order of their names; `after` is the last one of those before.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_tenants(pool: &PgPool, after: Option<&TenantScope>, limit: i64) -> Result<Vec<TenantScope>, Error> {
    timed("sync_tenants_fetch", async {
        let mut tx = system_tx(pool).await?;
        let rows = sqlx::query(
            "select tenant_id from sync.turns where $1::text is null or tenant_id > $1 order by tenant_id limit $2",
        )
        .bind(after.map(|after| after.tenant().as_str()))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(cannot("fetch tenants"))?;
        tx.commit().await.map_err(cannot("fetch tenants"))?;
        rows.iter()
            .map(scope_of)
            .collect::<sqlx::Result<_>>()
            .map_err(|source| Error::Row {
                table: "sync.turns",
                source,
            })
    })
    .await
}

/// Forgets jobs of a tenant that ended more than so many days ago, some at once; returns how many. The newest job of each
/// connection stays.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_old_jobs(pool: &PgPool, scope: &TenantScope, days: i32) -> Result<u64, Error> {
    timed("sync_jobs_forget", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let forgotten = sqlx::query(
            "delete from sync.jobs where tenant_id = $1 and id = any(array(
                 select j.id from sync.jobs j
                 where j.tenant_id = $1 and j.finished_at < now() - make_interval(days => $2) and exists (
                     select from sync.jobs newer
                     where newer.tenant_id = $1 and newer.connection_id = j.connection_id and newer.id > j.id)
                 limit $3))",
        )
        .bind(scope.tenant().as_str())
        .bind(days)
        .bind(PIECE)
        .execute(&mut *tx)
        .await
        .map_err(cannot("forget old jobs"))?;
        tx.commit().await.map_err(cannot("forget old jobs"))?;
        Ok(forgotten.rows_affected())
    })
    .await
}

/// Returns those of the ids that are connections, of whatever tenant.
///
/// # Errors
/// When the database does not answer.
pub async fn retain_connections(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    timed("sync_connections_retain", async {
        let mut tx = system_tx(pool).await?;
        let there = sqlx::query_scalar("select id from sync.connections where id = any($1)")
            .bind(ids)
            .fetch_all(&mut *tx)
            .await
            .map_err(cannot("look for connections"))?;
        tx.commit().await.map_err(cannot("look for connections"))?;
        Ok(there)
    })
    .await
}
