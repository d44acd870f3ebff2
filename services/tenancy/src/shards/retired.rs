//! The collections of lives that are over: each is to be dropped until that is recorded.

use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::Shard;
use crate::{Error, Result};

/// A collection that is left to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Undropped {
    /// The store's URL.
    pub endpoint: String,
    /// The collection.
    pub collection: String,
    /// The identity of the life that is over: whoever drops compares it with the collection's reserved point.
    #[sqlx(rename = "retired")]
    pub identity: Uuid,
}

/// Notes that the shard's collection is to be dropped.
pub(super) async fn enter(tx: &mut PgConnection, shard: &Shard) -> Result<()> {
    sqlx::query("update routing.collection_names set retired = $3 where endpoint = $1 and collection = $2")
        .bind(&shard.endpoint)
        .bind(&shard.collection)
        .bind(shard.identity)
        .execute(tx)
        .await
        .map_err(Error::database(format!(
            "note the collection of shard {} for its drop",
            shard.shard_id
        )))?;
    Ok(())
}

/// Fetches the collections that are still to be dropped.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_undropped(pool: &PgPool) -> Result<Vec<Undropped>> {
    let operation = "read the collections to drop";
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation))?;
    sqlx::query_as(
        "select endpoint, collection, retired from routing.collection_names
         where retired is not null order by endpoint, collection",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(operation))
}

/// Records that a collection is gone.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn record_dropped(pool: &PgPool, gone: &Undropped) -> Result<()> {
    let operation = || format!("record the drop of collection {}", gone.collection);
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query(
        "update routing.collection_names set retired = null where endpoint = $1 and collection = $2 and retired = $3",
    )
    .bind(&gone.endpoint)
    .bind(&gone.collection)
    .bind(gone.identity)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}
