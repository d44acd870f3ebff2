//! What is known of a connection's items: read by a batch, by the guard and by the sweep.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

use aeterna_kit::db::{tenant_tx, timed};

use super::claim::{Fence, hold};
use super::{Error, cannot};
use crate::plan::{Known, seen_before};

/// Fetches what is known of items.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_known(pool: &PgPool, fence: &Fence, ids: &[&str]) -> Result<HashMap<String, Known>, Error> {
    let query = "select external_id, content_hash, target_id, target_version, intended_ids, source_version, seen_by
                 from sync.items
                 where tenant_id = $1 and connection_id = $2 and external_id = any($3)";
    let query = sqlx::query(query)
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(ids);
    fetch(pool, fence, query).await.map(|items| items.into_iter().collect())
}

/// Fetches items that this job has not met: those that left their source.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_unseen(pool: &PgPool, fence: &Fence, limit: i64) -> Result<Vec<(String, Known)>, Error> {
    let query = "select external_id, content_hash, target_id, target_version, intended_ids, source_version, seen_by
                 from sync.items
                 where tenant_id = $1 and connection_id = $2 and seen_by is distinct from $3
                 order by external_id limit $4";
    let query = sqlx::query(query)
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(fence.job)
        .bind(limit);
    fetch(pool, fence, query).await
}

/// Fetches items of which an interrupted delivery may have left something in the target.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_leftover(pool: &PgPool, fence: &Fence, limit: i64) -> Result<Vec<(String, Known)>, Error> {
    let query = "select external_id, content_hash, target_id, target_version, intended_ids, source_version, seen_by
                 from sync.items
                 where tenant_id = $1 and connection_id = $2 and intended_ids <> '{}' order by external_id limit $3";
    let query = sqlx::query(query)
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(limit);
    fetch(pool, fence, query).await
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

async fn fetch(pool: &PgPool, fence: &Fence, query: Query<'_>) -> Result<Vec<(String, Known)>, Error> {
    timed("sync_items_fetch", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let rows = query.fetch_all(&mut *tx).await.map_err(cannot("fetch items"))?;
        tx.commit().await.map_err(cannot("fetch items"))?;
        let read = |row: &PgRow| {
            Ok((
                row.try_get("external_id")?,
                Known {
                    content_hash: row.try_get("content_hash")?,
                    target_id: row.try_get("target_id")?,
                    target_version: row.try_get("target_version")?,
                    intended_ids: row.try_get("intended_ids")?,
                    source_version: row.try_get("source_version")?,
                    seen_by: row.try_get("seen_by")?,
                },
            ))
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|source| Error::Row {
                table: "sync.items",
                source,
            })
    })
    .await
}

/// How many items of a connection are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// All of them.
    pub all: u64,
    /// Those that this job has not met, or no longer.
    pub unseen: u64,
    /// Those that this job met before its source became another.
    pub seen_before: u64,
}

/// Counts the items of a connection that are delivered.
///
/// # Errors
/// When the database does not answer.
pub async fn count_delivered(pool: &PgPool, fence: &Fence) -> Result<Delivered, Error> {
    timed("sync_items_count", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let counts: (i64, i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where seen_by is distinct from $3), count(*) filter (where seen_by = $4)
             from sync.items where tenant_id = $1 and connection_id = $2 and content_hash is not null",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(fence.job)
        .bind(seen_before(fence.job))
        .fetch_one(&mut *tx)
        .await
        .map_err(cannot("count items"))?;
        tx.commit().await.map_err(cannot("count items"))?;
        let count = |count| u64::try_from(count).unwrap_or_default();
        Ok(Delivered {
            all: count(counts.0),
            unseen: count(counts.1),
            seen_before: count(counts.2),
        })
    })
    .await
}

/// Forgets that a job met items: its source became another, and is read from its beginning.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn forget_seen(pool: &PgPool, fence: &Fence) -> Result<(), Error> {
    timed("sync_items_forget", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        hold(&mut tx, fence).await?;
        sqlx::query("update sync.items set seen_by = $4 where tenant_id = $1 and connection_id = $2 and seen_by = $3")
            .bind(fence.scope.tenant().as_str())
            .bind(fence.connection)
            .bind(fence.job)
            .bind(seen_before(fence.job))
            .execute(&mut *tx)
            .await
            .map_err(cannot("forget what was seen"))?;
        tx.commit().await.map_err(cannot("forget what was seen"))
    })
    .await
}

/// Returns the digest of all that is delivered, and whether something is rejected.
///
/// # Errors
/// When the database does not answer.
pub async fn digest(pool: &PgPool, fence: &Fence) -> Result<(String, bool), Error> {
    timed("sync_items_digest", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let found = sqlx::query_as(
            "select encode(sha256(convert_to(coalesce(string_agg(
                        external_id || chr(31) || encode(content_hash, 'hex'), chr(10) order by external_id collate \"C\"), ''),
                        'UTF8')), 'hex'),
                    exists (select from sync.rejects where tenant_id = $1 and connection_id = $2)
             from sync.items where tenant_id = $1 and connection_id = $2 and content_hash is not null",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .fetch_one(&mut *tx)
        .await
        .map_err(cannot("make a digest"))?;
        tx.commit().await.map_err(cannot("make a digest"))?;
        Ok(found)
    })
    .await
}
