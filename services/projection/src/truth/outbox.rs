//! The outbox: which points Qdrant must still learn, and who is about to tell it.

use std::time::Duration;

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::{Generation, ShardId};

use super::{Error, Result};

/// An outbox row together with what was applied for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// The outbox row.
    pub outbox_id: i64,
    /// The point.
    pub point_id: Uuid,
    /// The version of the row that Qdrant has acknowledged.
    pub version: i64,
}

/// Removes the outbox rows of applied points; returns the ids removed.
///
/// A row that has changed since its apply, or a route that is not the one applied to, keeps its outbox row: apply again.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn confirm(
    pool: &PgPool,
    scope: &TenantScope,
    identity: Uuid,
    generation: Generation,
    applied: &[Confirmation],
) -> Result<Vec<i64>> {
    let outbox: Vec<i64> = applied.iter().map(|done| done.outbox_id).collect();
    let points: Vec<Uuid> = applied.iter().map(|done| done.point_id).collect();
    let versions: Vec<i64> = applied.iter().map(|done| done.version).collect();
    let query = sqlx::query_scalar("select * from memory.confirm($1, $2, $3, $4, $5, $6)")
        .bind(scope.tenant().as_str())
        .bind(identity)
        .bind(generation)
        .bind(outbox)
        .bind(points)
        .bind(versions);
    aeterna_kit::db::single("memory_confirm", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await
    .map_err(Error::database("confirm applied points"))
}

/// An outbox row that its writer did not confirm in time.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Leftover {
    /// The outbox row.
    pub outbox_id: i64,
    /// The tenant.
    pub tenant_id: String,
    /// The point.
    pub point_id: Uuid,
    /// The shard that the tenant's route named at the claim.
    pub shard_id: ShardId,
}

/// Claims up to `limit` leftovers for `lease`, leaving out tenants whose route names one of the `but` shards.
///
/// The claim is committed before anything is applied: no row lock is held across a call to Qdrant.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn claim_leftovers(pool: &PgPool, limit: i64, lease: Duration, but: &[ShardId]) -> Result<Vec<Leftover>> {
    const OPERATION: &str = "claim leftovers of the outbox";
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(OPERATION))?;
    let but: Vec<&str> = but.iter().map(ShardId::as_str).collect();
    let claimed = sqlx::query_as(
        "update memory.outbox o set claimed_until = now() + make_interval(secs => $2)
         from routing.tenants r
         where r.tenant_id = o.tenant_id and o.outbox_id in (
             select c.outbox_id from memory.outbox c join routing.tenants t using (tenant_id)
             where c.claimed_until < now() and t.shard_id <> all($3)
             order by c.outbox_id limit $1 for update of c skip locked)
         returning o.outbox_id, o.tenant_id, o.point_id, r.shard_id",
    )
    .bind(limit)
    .bind(lease.as_secs_f64())
    .bind(but)
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(OPERATION))?;
    tx.commit().await.map_err(Error::database(OPERATION))?;
    Ok(claimed)
}
