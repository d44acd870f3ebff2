//! Shards: the Qdrant collections that hold projections, and their life from `building` to `retired`.
//!
//! The operator makes and retires them; the relocator only reads them. A collection's name is used once and never again,
//! so that a late request of an earlier life finds nothing to harm; the identity (also in the collection's reserved
//! point) tells two lives of one shard apart.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;

use crate::ids::{ShardId, Term};
use crate::{Error, Result, leader};

pub mod listed;
pub mod retired;

/// Where a projection is.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct Shard {
    /// Its name.
    pub shard_id: ShardId,
    /// The identity of this life of the shard.
    pub identity: Uuid,
    /// `shared` or `dedicated`.
    #[sqlx(try_from = "String")]
    pub kind: ShardKind,
    /// The store's URL, for gRPC.
    pub endpoint: String,
    /// The collection in the store.
    pub collection: String,
    /// The embedding model of its vectors.
    pub model: String,
    /// The dimension of its vectors.
    pub dimension: i32,
    /// How many tenants it takes.
    pub capacity: i32,
    /// Its place in its life.
    #[sqlx(try_from = "String")]
    pub state: ShardState,
    /// Dedicated: the one tenant that may live in it.
    pub tenant_id: Option<String>,
}

/// One life of a shard: what is known about a shard is known about one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// The shard.
    pub shard_id: ShardId,
    /// Its identity in this life.
    pub identity: Uuid,
}

impl Shard {
    /// Returns which life of the shard this is.
    #[must_use]
    pub fn life(&self) -> Life {
        Life {
            shard_id: self.shard_id.clone(),
            identity: self.identity,
        }
    }

    /// Refuses a tenant that may not live here.
    pub(crate) fn require_open_to(&self, tenant: &TenantId) -> Result<()> {
        match &self.tenant_id {
            Some(own) if own != tenant.as_str() => Err(Error::ShardOfAnotherTenant {
                shard: self.shard_id.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a shard is for one tenant or for many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardKind {
    /// Many tenants, told apart by the tenant filter.
    Shared,
    /// One tenant.
    Dedicated,
}

/// The life of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardState {
    /// Recorded; its collection may not exist yet.
    Building,
    /// Takes tenants.
    Ready,
    /// Takes no more tenants.
    Draining,
    /// Its collection is gone or about to go.
    Retired,
}

impl ShardKind {
    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
        }
    }
}

impl TryFrom<String> for ShardKind {
    type Error = Error;

    fn try_from(value: String) -> Result<Self> {
        match value.as_str() {
            "shared" => Ok(Self::Shared),
            "dedicated" => Ok(Self::Dedicated),
            _ => Err(Error::UnknownValue {
                column: "shards.kind",
                value,
            }),
        }
    }
}

impl ShardState {
    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Retired => "retired",
        }
    }
}

impl TryFrom<String> for ShardState {
    type Error = Error;

    fn try_from(value: String) -> Result<Self> {
        match value.as_str() {
            "building" => Ok(Self::Building),
            "ready" => Ok(Self::Ready),
            "draining" => Ok(Self::Draining),
            "retired" => Ok(Self::Retired),
            _ => Err(Error::UnknownValue {
                column: "shards.state",
                value,
            }),
        }
    }
}

/// What is wanted of a shard that is to be recorded.
#[derive(Debug, Clone)]
pub struct NewShard {
    /// Its name.
    pub shard_id: ShardId,
    /// Dedicated: the one tenant that may live in it; none makes it shared.
    pub tenant: Option<TenantId>,
    /// The store's URL.
    pub endpoint: String,
    /// The first choice of the collection's name.
    pub collection: String,
    /// The embedding model.
    pub model: String,
    /// Its dimension.
    pub dimension: i32,
    /// How many tenants it takes.
    pub capacity: i32,
}

const COLUMNS: &str = "shard_id, identity, kind, endpoint, collection, model, dimension, capacity, state, tenant_id";

impl NewShard {
    fn kind(&self) -> ShardKind {
        match self.tenant {
            Some(_) => ShardKind::Dedicated,
            None => ShardKind::Shared,
        }
    }

    /// Tells whether a shard that is still being built is wanted in another store by now: nobody lives in it yet.
    fn begins_elsewhere(&self, found: &Shard) -> bool {
        found.state == ShardState::Building
            && found.endpoint != self.endpoint
            && found.kind == self.kind()
            && found.tenant_id.as_deref() == self.tenant.as_ref().map(TenantId::as_str)
    }

    /// Refuses a shard that is there and is not what is wanted.
    fn check(&self, found: &Shard) -> Result<()> {
        let shard = || self.shard_id.clone();
        if found.kind != self.kind() {
            return Err(Error::ShardKindDiffers {
                shard: shard(),
                found: found.kind.as_str(),
                wanted: self.kind().as_str(),
            });
        }
        if let Some(tenant) = &self.tenant {
            found.require_open_to(tenant)?;
        }
        if found.model != self.model {
            return Err(Error::ShardModelDiffers {
                shard: shard(),
                found: found.model.clone(),
                wanted: self.model.clone(),
            });
        }
        if found.endpoint != self.endpoint {
            return Err(Error::ShardEndpointDiffers {
                shard: shard(),
                found: found.endpoint.clone(),
                wanted: self.endpoint.clone(),
            });
        }
        Ok(())
    }
}

/// Records a shard in state `building`, or begins a new life of a retired one under a new identity and collection name;
/// likewise of one that is still being built and is wanted in another store.
/// A shard that is there and not retired is returned as it is, with its capacity brought up to date.
///
/// # Errors
/// [`Error::TermOver`] for an old leader, [`Error::CollectionNameUsed`] when no name is free; for a shard that is there and
/// is not what is wanted [`Error::ShardKindDiffers`], [`Error::ShardOfAnotherTenant`], [`Error::ShardModelDiffers`] or
/// [`Error::ShardEndpointDiffers`].
pub async fn record_shard(pool: &PgPool, term: Term, new: &NewShard) -> Result<Shard> {
    let operation = || format!("record shard {}", new.shard_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    let existing: Option<Shard> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.shards where shard_id = $1 for update"
    )))
    .bind(&new.shard_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    let shard = match existing {
        Some(shard) if shard.state != ShardState::Retired && !new.begins_elsewhere(&shard) => {
            new.check(&shard)?;
            sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "update routing.shards set capacity = $2 where shard_id = $1 returning {COLUMNS}"
            )))
            .bind(&new.shard_id)
            .bind(new.capacity)
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::database(operation()))?
        }
        Some(_) | None => begin_life(&mut tx, new).await?,
    };
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(shard)
}

async fn begin_life(tx: &mut PgConnection, new: &NewShard) -> Result<Shard> {
    let collection = take_collection_name(tx, new).await?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into routing.shards
             (shard_id, kind, isolation, endpoint, collection, model, dimension, capacity, state, tenant_id)
         values ($1, $2, 'Collection', $3, $4, $5, $6, $7, 'building', $8)
         on conflict (shard_id) do update set identity = gen_random_uuid(), kind = excluded.kind,
             endpoint = excluded.endpoint, collection = excluded.collection, model = excluded.model,
             dimension = excluded.dimension, capacity = excluded.capacity, state = 'building',
             tenant_id = excluded.tenant_id
         returning {COLUMNS}"
    )))
    .bind(&new.shard_id)
    .bind(new.kind().as_str())
    .bind(&new.endpoint)
    .bind(collection)
    .bind(&new.model)
    .bind(new.dimension)
    .bind(new.capacity)
    .bind(new.tenant.as_ref().map(TenantId::as_str))
    .fetch_one(tx)
    .await
    .map_err(Error::database(format!("record shard {}", new.shard_id)))
}

/// Names tried before giving up: a tenant that was moved to a dedicated shard a thousand times.
const MAX_LIVES: usize = 1_000;

async fn take_collection_name(tx: &mut PgConnection, new: &NewShard) -> Result<String> {
    for life in 1..=MAX_LIVES {
        let name = if life == 1 {
            new.collection.clone()
        } else {
            format!("{}-g{life}", new.collection)
        };
        let taken = sqlx::query(
            "insert into routing.collection_names (endpoint, collection) values ($1, $2) on conflict do nothing",
        )
        .bind(&new.endpoint)
        .bind(&name)
        .execute(&mut *tx)
        .await
        .map_err(Error::database(format!("take the name of collection {name}")))?;
        if taken.rows_affected() == 1 {
            return Ok(name);
        }
        if new.kind() == ShardKind::Shared {
            break; // Two shared shards on one collection: somebody's mistake, not a later life.
        }
    }
    Err(Error::CollectionNameUsed {
        collection: new.collection.clone(),
    })
}

/// Declares the shard ready after its collection exists and carries its identity.
///
/// # Errors
/// [`Error::TermOver`] for an old leader; [`Error::UnknownShard`] when this life of the shard is over.
pub async fn mark_ready(pool: &PgPool, term: Term, shard: &Shard) -> Result<()> {
    let operation = || format!("declare shard {} ready", shard.shard_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    let done = sqlx::query(
        "update routing.shards set state = 'ready'
         where shard_id = $1 and identity = $2 and state in ('building', 'ready')",
    )
    .bind(&shard.shard_id)
    .bind(shard.identity)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::UnknownShard {
            shard: shard.shard_id.clone(),
        })
    }
}

/// Retires a dedicated shard that nothing uses any more: no tenant, no open move, no clean-up. Returns whether it did.
///
/// Its collection is then to be dropped, as [`retired::fetch_undropped`] says until that is recorded.
///
/// # Errors
/// [`Error::TermOver`] for an old leader.
pub async fn retire_if_unused(pool: &PgPool, term: Term, shard: &Shard) -> Result<bool> {
    let operation = || format!("retire shard {}", shard.shard_id);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    // The row lock comes first: whoever picks this shard as a target locks it too, and looks at its state.
    sqlx::query("select from routing.shards where shard_id = $1 for update")
        .bind(&shard.shard_id)
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    let done = sqlx::query(
        "update routing.shards s set state = 'retired'
         where s.shard_id = $1 and s.identity = $2 and s.kind = 'dedicated' and s.state <> 'retired'
           and not exists (select from routing.tenants t where t.shard_id = s.shard_id)
           and not exists (select from routing.moves m where s.shard_id in (m.source, m.target)
                           and m.step not in ('Done', 'Cancelled'))
           and not exists (select from routing.cleanups c where c.shard_id = s.shard_id
                           and c.shard_identity = s.identity and c.done_at is null)",
    )
    .bind(&shard.shard_id)
    .bind(shard.identity)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    let retired = done.rows_affected() == 1;
    if retired {
        retired::enter(&mut tx, shard).await?;
    }
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(retired)
}

/// Fetches a shard.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_shard(pool: &PgPool, shard: &ShardId) -> Result<Option<Shard>> {
    let operation = || format!("read shard {shard}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.shards where shard_id = $1"
    )))
    .bind(shard)
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))
}

/// A shard and how many tenants are routed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardUse {
    /// The shard.
    pub shard: Shard,
    /// Its tenants.
    pub tenants: i64,
}

/// Fetches all shards that are not retired, by name, with their tenants counted.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_shards(pool: &PgPool) -> Result<Vec<ShardUse>> {
    let operation = || "read the shards".to_owned();
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let shards: Vec<Shard> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.shards where state <> 'retired' order by shard_id"
    )))
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    let counts: Vec<(ShardId, i64)> =
        sqlx::query_as("select shard_id, count(*) from routing.tenants group by shard_id")
            .fetch_all(&mut *tx)
            .await
            .map_err(Error::database(operation()))?;
    Ok(shards
        .into_iter()
        .map(|shard| {
            let tenants = counts
                .iter()
                .find(|(id, _)| *id == shard.shard_id)
                .map_or(0, |(_, count)| *count);
            ShardUse { shard, tenants }
        })
        .collect())
}

/// Locks a shard against retirement and returns it, if it takes tenants.
pub(crate) async fn lock_ready(tx: &mut PgConnection, shard: &ShardId) -> Result<Shard> {
    let row: Shard = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from routing.shards where shard_id = $1 for update"
    )))
    .bind(shard)
    .fetch_optional(tx)
    .await
    .map_err(Error::database(format!("lock shard {shard}")))?
    .ok_or_else(|| Error::UnknownShard { shard: shard.clone() })?;
    if row.state == ShardState::Ready {
        Ok(row)
    } else {
        Err(Error::ShardNotReady {
            shard: shard.clone(),
            state: row.state.as_str().to_owned(),
        })
    }
}
