//! Connections.

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{tenant_tx, timed};

use super::{Error, cannot, row};
use crate::connection::{Connection, Source, Target, config_hash};

/// Returns the connection of a source and a target, and makes it if there is none.
pub(super) async fn ensure(
    tx: &mut PgConnection,
    scope: &TenantScope,
    (source, target): (&Source, &Target),
    created_by: &str,
) -> Result<Uuid, Error> {
    // The update that changes nothing returns the row that is there already, also one of a moment ago.
    sqlx::query_scalar(
        "insert into sync.connections as c (tenant_id, id, source, target, config_hash, created_by)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, config_hash) do update set config_hash = c.config_hash returning c.id",
    )
    .bind(scope.tenant().as_str())
    .bind(Uuid::now_v7())
    .bind(Json(source))
    .bind(Json(target))
    .bind(config_hash(source, target))
    .bind(created_by)
    .fetch_one(tx)
    .await
    .map_err(cannot("record a connection"))
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
