//! Recording the intent of a move.

use jiff::SignedDuration;
use sqlx::PgPool;

use aeterna_kit::ids::TenantId;

use super::row::COLUMNS;
use crate::ids::{Generation, ShardId, Term};
use crate::moves::Move;
use crate::shards::Shard;
use crate::{Error, Result, leader, routes, shards};

/// A move that the operator wants.
#[derive(Debug, Clone)]
pub struct NewMove {
    /// The tenant.
    pub tenant: TenantId,
    /// Who asks: `<TenantShard uid>/<its metadata.generation>`. Recording it again returns the first record.
    pub operation: String,
    /// Where the tenant shall live; must be ready.
    pub target: ShardId,
    /// How long the source is kept after the flip.
    pub retention: SignedDuration,
}

/// Records a move away from the tenant's current shard; a move of the same tenant in Retain ends with it.
///
/// # Errors
/// [`Error::TermOver`], [`Error::UnknownTenant`], [`Error::ShardNotReady`], [`Error::ShardFull`],
/// [`Error::ShardOfAnotherTenant`], [`Error::ShardModelDiffers`],
/// [`Error::AlreadyMoving`] when another move of the tenant is before its cutover.
pub async fn record(pool: &PgPool, term: Term, new: &NewMove) -> Result<Move> {
    let operation = || format!("record the move of {}", new.tenant);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    let route = routes::fetch_for_update(&mut tx, &new.tenant)
        .await?
        .ok_or_else(|| Error::UnknownTenant {
            tenant: new.tenant.to_string(),
        })?;
    let known = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.moves m where operation = $1"
    )))
    .bind(&new.operation)
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    if let Some(known) = known {
        return Ok(known);
    }
    let target = lock_with_room(&mut tx, &new.target).await?;
    target.require_open_to(&new.tenant)?;
    if target.model != route.model {
        return Err(Error::ShardModelDiffers {
            shard: target.shard_id,
            found: target.model,
            wanted: route.model,
        });
    }
    // A shard without a row cannot be a route's: the foreign key says so.
    let source_identity: uuid::Uuid = sqlx::query_scalar("select identity from routing.shards where shard_id = $1")
        .bind(&route.shard_id)
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    let (last, incarnation): (Generation, i32) = sqlx::query_as(
        "select greatest($2, (select max(generation) from routing.moves where tenant_id = $1)),
                coalesce((select incarnation from routing.cluster), 1)",
    )
    .bind(new.tenant.as_str())
    .bind(route.generation)
    .fetch_one(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    sqlx::query("update routing.moves set retain_until = now() where tenant_id = $1 and step = 'Retain'")
        .bind(new.tenant.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    let recorded = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into routing.moves as m (tenant_id, operation, term, source, source_identity, target, target_identity, base,
             generation, step, retention)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'Copy', make_interval(secs => $10)) returning {COLUMNS}"
    )))
    .bind(new.tenant.as_str())
    .bind(&new.operation)
    .bind(term)
    .bind(&route.shard_id)
    .bind(source_identity)
    .bind(&target.shard_id)
    .bind(target.identity)
    .bind(route.generation)
    .bind(Generation::after(last, incarnation))
    .bind(new.retention.as_secs_f64())
    .fetch_one(&mut *tx)
    .await
    .map_err(|source| match source.as_database_error().and_then(sqlx::error::DatabaseError::constraint) {
        Some("moves_one_before_retain") => Error::AlreadyMoving { tenant: new.tenant.to_string() },
        Some(_) | None => Error::Database { operation: operation(), source },
    })?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(recorded)
}

/// Locks the target and counts who lives there or is on the way.
async fn lock_with_room(tx: &mut sqlx::PgConnection, target: &ShardId) -> Result<Shard> {
    let shard = shards::lock_ready(tx, target).await?;
    let taken: i64 = sqlx::query_scalar(
        "select (select count(*) from routing.tenants where shard_id = $1)
              + (select count(*) from routing.moves where target = $1
                 and step in ('Copy', 'CatchUp', 'Verify', 'Await', 'Cutover'))",
    )
    .bind(&shard.shard_id)
    .fetch_one(tx)
    .await
    .map_err(Error::database(format!("count the tenants of {target}")))?;
    if taken < i64::from(shard.capacity) {
        Ok(shard)
    } else {
        Err(Error::ShardFull {
            shard: shard.shard_id,
            capacity: shard.capacity,
        })
    }
}
