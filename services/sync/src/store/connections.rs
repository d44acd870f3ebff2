//! Connections.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{tenant_tx, timed};

use super::batch::unsettle;
use super::{Error, PIECE, cannot, row};
use crate::connection::{Connection, Source, Target, config_hash};

/// Returns the connection of a source and a target, and makes it if there is none.
pub(super) async fn ensure(
    tx: &mut PgConnection,
    scope: &TenantScope,
    (source, target): (&Source, &Target),
    created_by: &str,
) -> Result<Uuid, Error> {
    let hash = config_hash(source, target);
    // It is there, or is made; what somebody makes or forgets in between is found in the next round.
    loop {
        if let Some(id) = look_up(tx, scope, &hash).await? {
            return Ok(id);
        }
        let made = sqlx::query_scalar(
            "insert into sync.connections (tenant_id, id, source, target, config_hash, created_by)
             values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, config_hash) do nothing returning id",
        )
        .bind(scope.tenant().as_str())
        .bind(Uuid::now_v7())
        .bind(Json(source))
        .bind(Json(target))
        .bind(&hash)
        .bind(created_by)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("record a connection"))?;
        if let Some(id) = made {
            return Ok(id);
        }
    }
}

/// Takes the connection of a hash, if there is one, with the weakest lock that keeps the row: the end of a job, which changes
/// it, waits for no start, and no start for it.
async fn look_up(tx: &mut PgConnection, scope: &TenantScope, hash: &[u8]) -> Result<Option<Uuid>, Error> {
    sqlx::query_scalar("select id from sync.connections where tenant_id = $1 and config_hash = $2 for key share")
        .bind(scope.tenant().as_str())
        .bind(hash)
        .fetch_optional(tx)
        .await
        .map_err(cannot("fetch a connection"))
}

/// Finds the connection of a source and a target.
///
/// # Errors
/// When the database does not answer.
pub async fn find_connection(
    pool: &PgPool,
    scope: &TenantScope,
    (source, target): (&Source, &Target),
) -> Result<Option<Uuid>, Error> {
    timed("sync_connection_find", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let found = look_up(&mut tx, scope, &config_hash(source, target)).await?;
        tx.commit().await.map_err(cannot("find a connection"))?;
        Ok(found)
    })
    .await
}

/// Takes a connection for the rest of the transaction, so that nobody forgets it; tells whether it is there. Whoever takes
/// what belongs to a connection takes the connection first: so does [`forget_connection`].
pub(super) async fn hold(tx: &mut PgConnection, scope: &TenantScope, id: Uuid) -> Result<bool, Error> {
    let held: Option<Uuid> =
        sqlx::query_scalar("select id from sync.connections where tenant_id = $1 and id = $2 for key share")
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(tx)
            .await
            .map_err(cannot("hold a connection"))?;
    Ok(held.is_some())
}

/// Records a connection without a job; returns the one that is there when the pair is known.
///
/// # Errors
/// When the database does not answer.
pub async fn record_connection(
    pool: &PgPool,
    scope: &TenantScope,
    pair: (&Source, &Target),
    created_by: &str,
) -> Result<Uuid, Error> {
    timed("sync_connection_record", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let id = ensure(&mut tx, scope, pair, created_by).await?;
        tx.commit().await.map_err(cannot("record a connection"))?;
        Ok(id)
    })
    .await
}

/// Fetches a connection.
///
/// # Errors
/// When the database does not answer, or the row is of a later release.
pub async fn fetch_connection(pool: &PgPool, scope: &TenantScope, id: Uuid) -> Result<Option<Connection>, Error> {
    timed("sync_connection_fetch", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let found =
            sqlx::query("select id, source, target, case when settled then state end as state from sync.connections where tenant_id = $1 and id = $2")
                .bind(scope.tenant().as_str())
                .bind(id)
                .fetch_optional(&mut *tx)
                .await
                .map_err(cannot("fetch a connection"))?;
        tx.commit().await.map_err(cannot("fetch a connection"))?;
        found.as_ref().map(read).transpose().map_err(|source| Error::Row {
            table: "sync.connections",
            source,
        })
    })
    .await
}

fn read(row: &PgRow) -> sqlx::Result<Connection> {
    Ok(Connection {
        id: row.try_get("id")?,
        source: row::json(row, "source")?,
        target: row::json(row, "target")?,
        state: row.try_get("state")?,
    })
}

/// A connection as its callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Connection)]
pub struct ShownConnection {
    /// The connection.
    pub id: Uuid,
    /// Where items come from.
    pub source: Source,
    /// Where they go.
    pub target: Target,
    /// The job that is active, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_job_id: Option<Uuid>,
    /// Who started its first job.
    pub created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Lists connections, newest first: one of them, or a page; `before` is the last one of the page before.
///
/// # Errors
/// When the database does not answer, or a row is of a later release.
pub async fn list_connections(
    pool: &PgPool,
    scope: &TenantScope,
    only: Option<Uuid>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ShownConnection>, Error> {
    timed("sync_connections_list", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let rows = sqlx::query(
            "select c.id, c.source, c.target, c.created_by, c.created_at, j.id as active
             from sync.connections c
             left join sync.jobs j on j.tenant_id = c.tenant_id and j.connection_id = c.id
                 and j.status in ('queued', 'running', 'cancelling')
             where c.tenant_id = $1 and ($2::uuid is null or c.id = $2) and ($3::uuid is null or c.id < $3)
             order by c.id desc limit $4",
        )
        .bind(scope.tenant().as_str())
        .bind(only)
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(cannot("list connections"))?;
        tx.commit().await.map_err(cannot("list connections"))?;
        let read = |row: &PgRow| {
            Ok(ShownConnection {
                id: row.try_get("id")?,
                source: row::json(row, "source")?,
                target: row::json(row, "target")?,
                active_job_id: row.try_get("active")?,
                created_by: row.try_get("created_by")?,
                created_at: row.try_get::<jiff_sqlx::Timestamp, _>("created_at")?.to_jiff(),
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|source| Error::Row {
                table: "sync.connections",
                source,
            })
    })
    .await
}

/// What became of a connection that somebody wants to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// It is gone.
    Done,
    /// It has an active job.
    Busy(Uuid),
    /// It was not there.
    NoConnection,
}

/// What there may be much of, and goes piece by piece.
const MANY: [&str; 3] = ["rejects", "items", "jobs"];

/// What else belongs to a connection, and goes before it.
const FEW: [&str; 2] = ["schedules", "webhooks"];

/// Forgets a connection and all that belongs to it, unless a job is active. What there is much of goes in transactions of its
/// own: whoever gives up in between asks again, and a job that is started in between looks at everything.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_connection(pool: &PgPool, scope: &TenantScope, id: Uuid) -> Result<Forgotten, Error> {
    timed("sync_connection_forget", async {
        loop {
            let mut tx = tenant_tx(pool, scope).await?;
            if let Some(why_not) = hold_idle(&mut tx, scope, id).await? {
                return Ok(why_not);
            }
            let mut is_all = true;
            for table in MANY {
                is_all = is_all && forget_piece(&mut tx, scope, id, table).await? < PIECE.unsigned_abs();
            }
            if is_all {
                forget_rest(&mut tx, scope, id).await?;
            } else {
                unsettle(&mut tx, scope, id).await?;
            }
            tx.commit().await.map_err(cannot("forget a connection"))?;
            if is_all {
                return Ok(Forgotten::Done);
            }
        }
    })
    .await
}

/// Takes a connection that somebody wants to forget; tells why it may not be.
async fn hold_idle(tx: &mut PgConnection, scope: &TenantScope, id: Uuid) -> Result<Option<Forgotten>, Error> {
    // Whoever starts a job holds the row too: either it is seen here, or finds no connection.
    let held = sqlx::query("select id from sync.connections where tenant_id = $1 and id = $2 for update")
        .bind(scope.tenant().as_str())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("hold a connection"))?;
    if held.is_none() {
        return Ok(Some(Forgotten::NoConnection));
    }
    let active: Option<Uuid> = sqlx::query_scalar(
        "select id from sync.jobs
         where tenant_id = $1 and connection_id = $2 and status in ('queued', 'running', 'cancelling')",
    )
    .bind(scope.tenant().as_str())
    .bind(id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(cannot("look for an active job"))?;
    Ok(active.map(Forgotten::Busy))
}

/// Removes some rows of a table that belong to a connection; returns how many.
async fn forget_piece(tx: &mut PgConnection, scope: &TenantScope, id: Uuid, table: &str) -> Result<u64, Error> {
    let delete = format!(
        "delete from sync.{table} where ctid = any(array(
             select ctid from sync.{table} where tenant_id = $1 and connection_id = $2 limit $3))"
    );
    let deleted = sqlx::query(sqlx::AssertSqlSafe(delete))
        .bind(scope.tenant().as_str())
        .bind(id)
        .bind(PIECE)
        .execute(tx)
        .await
        .map_err(cannot("forget what belongs to a connection"))?;
    Ok(deleted.rows_affected())
}

async fn forget_rest(tx: &mut PgConnection, scope: &TenantScope, id: Uuid) -> Result<(), Error> {
    for table in FEW {
        let delete = format!("delete from sync.{table} where tenant_id = $1 and connection_id = $2");
        sqlx::query(sqlx::AssertSqlSafe(delete))
            .bind(scope.tenant().as_str())
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(cannot("forget what belongs to a connection"))?;
    }
    sqlx::query("delete from sync.connections where tenant_id = $1 and id = $2")
        .bind(scope.tenant().as_str())
        .bind(id)
        .execute(tx)
        .await
        .map_err(cannot("forget a connection"))?;
    Ok(())
}
