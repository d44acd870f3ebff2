//! Routes: the shard that a tenant's searches read and its writers write.
//!
//! A route is inserted once and changed only by a move's flip (and, with a later release, by a rebuild in place). Services
//! read their own route inside the write and search functions; the functions here are for the operator and the relocator.

use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;

use crate::ids::{Generation, ShardId, Term};
use crate::{Error, Result, leader, shards};

/// A tenant's route.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Route {
    /// The tenant.
    pub tenant_id: String,
    /// The shard in force.
    pub shard_id: ShardId,
    /// Searches read points of this generation and above.
    pub floor: Generation,
    /// Writers stamp this generation.
    pub generation: Generation,
    /// The embedding model of the projection.
    pub model: String,
    /// The uid of the TenantShard that owns the tenant; none for a tenant that was registered by its first write.
    pub owner_uid: Option<Uuid>,
    /// `namespace/name` of that TenantShard.
    pub owner_name: Option<String>,
}

impl Route {
    fn is_of(&self, owner: &Owner) -> bool {
        self.owner_uid == Some(owner.uid) && self.owner_name.as_deref() == Some(owner.name.as_str())
    }
}

const COLUMNS: &str = "tenant_id, shard_id, floor, generation, model, owner_uid, owner_name";

/// The TenantShard that claims a tenant.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Its uid.
    pub uid: Uuid,
    /// Its `namespace/name`.
    pub name: String,
}

/// Registers a tenant on `shard` for its TenantShard, or claims a tenant that has no owner. The first owner stays, and a
/// claim of its own writes nothing.
///
/// # Errors
/// [`Error::TenantOwnedByAnother`], [`Error::ShardNotReady`], [`Error::ShardFull`],
/// [`Error::ShardOfAnotherTenant`], [`Error::TermOver`].
pub async fn claim_tenant(
    pool: &PgPool,
    term: Term,
    tenant: &TenantId,
    shard: &ShardId,
    owner: &Owner,
) -> Result<Route> {
    let operation = || format!("claim tenant {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    if let Some(mine) = fetch(&mut tx, tenant).await?.filter(|route| route.is_of(owner)) {
        return Ok(mine);
    }
    let route = match fetch_for_update(&mut tx, tenant).await? {
        Some(route) => route,
        None => insert(&mut tx, tenant, shard).await?,
    };
    if route.owner_uid.is_some_and(|uid| uid != owner.uid) {
        return Err(Error::TenantOwnedByAnother {
            owner: route.owner_name.unwrap_or_default(),
        });
    }
    let route = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update routing.tenants set owner_uid = $2, owner_name = $3 where tenant_id = $1 returning {COLUMNS}"
    )))
    .bind(tenant.as_str())
    .bind(owner.uid)
    .bind(&owner.name)
    .fetch_one(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(route)
}

/// Lets go of a tenant when its TenantShard is deleted; the route and the data stay.
///
/// # Errors
/// [`Error::TermOver`] for an old leader.
pub async fn release_tenant(pool: &PgPool, term: Term, tenant: &TenantId, owner: Uuid) -> Result<()> {
    let operation = || format!("release tenant {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    sqlx::query(
        "update routing.tenants set owner_uid = null, owner_name = null where tenant_id = $1 and owner_uid = $2",
    )
    .bind(tenant.as_str())
    .bind(owner)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}

/// Registers a tenant that no TenantShard declares, on its first write (onboarding `Open`): the ready shared shard with
/// the most free capacity takes it. A tenant that is registered already is returned as it is.
///
/// # Errors
/// [`Error::ShardFull`] when no shared shard has room.
pub async fn register_on_first_write(pool: &PgPool, tenant: &TenantId) -> Result<Route> {
    let operation = || format!("register tenant {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    if let Some(route) = fetch_for_update(&mut tx, tenant).await? {
        return Ok(route);
    }
    let shard: ShardId = sqlx::query_scalar(
        "select s.shard_id from routing.shards s
         where s.kind = 'shared' and s.state = 'ready'
         order by s.capacity - (select count(*) from routing.tenants t where t.shard_id = s.shard_id) desc, s.shard_id
         limit 1",
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?
    .ok_or_else(|| Error::UnknownShard {
        shard: ShardId::new("shared-*"),
    })?;
    let route = insert(&mut tx, tenant, &shard).await?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(route)
}

/// Fetches a tenant's route.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_route(pool: &PgPool, tenant: &TenantId) -> Result<Option<Route>> {
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(format!("read the route of {tenant}")))?;
    fetch(&mut tx, tenant).await
}

async fn fetch(tx: &mut PgConnection, tenant: &TenantId) -> Result<Option<Route>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.tenants where tenant_id = $1"
    )))
    .bind(tenant.as_str())
    .fetch_optional(tx)
    .await
    .map_err(Error::database(format!("read the route of {tenant}")))
}

pub(crate) async fn fetch_for_update(tx: &mut PgConnection, tenant: &TenantId) -> Result<Option<Route>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.tenants where tenant_id = $1 for update"
    )))
    .bind(tenant.as_str())
    .fetch_optional(tx)
    .await
    .map_err(Error::database(format!("lock the route of {tenant}")))
}

async fn insert(tx: &mut PgConnection, tenant: &TenantId, shard: &ShardId) -> Result<Route> {
    let operation = || format!("register tenant {tenant}");
    // The shard's row lock makes the count below exact and keeps a drain from passing by.
    let shard = shards::lock_ready(tx, shard).await?;
    shard.require_open_to(tenant)?;
    let tenants: i64 = sqlx::query_scalar("select count(*) from routing.tenants where shard_id = $1")
        .bind(&shard.shard_id)
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    if tenants >= i64::from(shard.capacity) {
        return Err(Error::ShardFull {
            shard: shard.shard_id,
            capacity: shard.capacity,
        });
    }
    let incarnation: i32 = sqlx::query_scalar("select coalesce((select incarnation from routing.cluster), 1)")
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    // A concurrent first write of the same tenant waits here and then finds the row.
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into routing.tenants (tenant_id, shard_id, floor, generation, model) values ($1, $2, $3, $3, $4)
         on conflict (tenant_id) do update set tenant_id = excluded.tenant_id returning {COLUMNS}"
    )))
    .bind(tenant.as_str())
    .bind(&shard.shard_id)
    .bind(Generation::first(incarnation))
    .bind(&shard.model)
    .fetch_one(tx)
    .await
    .map_err(Error::database(operation()))
}
