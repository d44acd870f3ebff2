//! What is known of a connection's items: read by a batch, by the guard and by the sweep.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};

use aeterna_kit::db::{tenant_tx, timed};
use aeterna_kit::hex::hex;

use super::claim::{Fence, hold};
use super::{Error, PIECE, cannot};
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

/// Fetches items behind `after` that this job has not met: those that left their source.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_unseen(
    pool: &PgPool,
    fence: &Fence,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Known)>, Error> {
    let query = "select external_id, content_hash, target_id, target_version, intended_ids, source_version, seen_by
                 from sync.items
                 where tenant_id = $1 and connection_id = $2 and seen_by is distinct from $3 and external_id > $4
                 order by external_id limit $5";
    let query = sqlx::query(query)
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(fence.job)
        .bind(after)
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

/// Counts the items that this job has not met and whose text it delivered as another item: those that only moved. Of many
/// with one text as many moved as came.
///
/// # Errors
/// When the database does not answer.
pub async fn count_moved(pool: &PgPool, fence: &Fence) -> Result<u64, Error> {
    timed("sync_items_count_moved", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let moved: i64 = sqlx::query_scalar(
            "select coalesce(sum(least(t.gone, t.came)), 0)::bigint from (
                 select count(*) filter (where i.seen_by is distinct from $3) as gone,
                     count(*) filter (where i.seen_by = $3 and i.delivered_at >= j.started_at) as came
                 from sync.items i join sync.jobs j on j.tenant_id = $1 and j.id = $3
                 where i.tenant_id = $1 and i.connection_id = $2 and i.content_hash is not null
                 group by i.content_hash) t",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(fence.job)
        .fetch_one(&mut *tx)
        .await
        .map_err(cannot("count what moved"))?;
        tx.commit().await.map_err(cannot("count what moved"))?;
        Ok(u64::try_from(moved).unwrap_or_default())
    })
    .await
}

/// Forgets that a job met items: its source became another, and is read from its beginning. A crash in between leaves the
/// rest to the next attempt, which finds the same.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn forget_seen(pool: &PgPool, fence: &Fence) -> Result<(), Error> {
    timed("sync_items_forget", async {
        let mut after = String::new();
        loop {
            let mut tx = tenant_tx(pool, &fence.scope).await?;
            hold(&mut tx, fence).await?;
            let Some(last) = find_end(&mut tx, fence, &after).await? else {
                break;
            };
            sqlx::query(
                "update sync.items set seen_by = $4
                 where tenant_id = $1 and connection_id = $2 and external_id > $5 and external_id <= $6 and seen_by = $3",
            )
            .bind(fence.scope.tenant().as_str())
            .bind(fence.connection)
            .bind(fence.job)
            .bind(seen_before(fence.job))
            .bind(after)
            .bind(&last)
            .execute(&mut *tx)
            .await
            .map_err(cannot("forget what was seen"))?;
            tx.commit().await.map_err(cannot("forget what was seen"))?;
            after = last;
        }
        Ok(())
    })
    .await
}

/// Finds the last item of the piece behind `after`, if there is one.
async fn find_end(tx: &mut PgConnection, fence: &Fence, after: &str) -> Result<Option<String>, Error> {
    sqlx::query_scalar(
        "select max(p.external_id) from (
             select external_id from sync.items where tenant_id = $1 and connection_id = $2 and external_id > $3
             order by external_id limit $4) p",
    )
    .bind(fence.scope.tenant().as_str())
    .bind(fence.connection)
    .bind(after)
    .bind(PIECE)
    .fetch_one(tx)
    .await
    .map_err(cannot("find a piece"))
}

/// Returns the digest of all that is delivered, and whether something is rejected.
///
/// # Errors
/// When the database does not answer.
pub async fn digest(pool: &PgPool, fence: &Fence) -> Result<(String, bool), Error> {
    timed("sync_items_digest", async {
        let (mut digest, mut last) = (Sha256::new(), String::new());
        loop {
            let piece = fetch_hashes(pool, fence, &last).await?;
            let is_end = i64::try_from(piece.len()).is_ok_and(|length| length < PIECE);
            for (id, content_hash) in piece {
                // Between two items a line ends.
                digest.update(if last.is_empty() { "" } else { "\n" });
                digest.update(&id);
                digest.update("\u{1f}");
                digest.update(hex(&content_hash));
                last = id;
            }
            if is_end {
                break;
            }
        }
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let has_rejects =
            sqlx::query_scalar("select exists (select from sync.rejects where tenant_id = $1 and connection_id = $2)")
                .bind(fence.scope.tenant().as_str())
                .bind(fence.connection)
                .fetch_one(&mut *tx)
                .await
                .map_err(cannot("look for rejects"))?;
        tx.commit().await.map_err(cannot("look for rejects"))?;
        Ok((hex(&digest.finalize()), has_rejects))
    })
    .await
}

/// Fetches the hashes of some delivered items behind `after`, in the order of their ids.
async fn fetch_hashes(pool: &PgPool, fence: &Fence, after: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut tx = tenant_tx(pool, &fence.scope).await?;
    let hashes = sqlx::query_as(
        "select external_id, content_hash from sync.items
         where tenant_id = $1 and connection_id = $2 and content_hash is not null and external_id > $3
         order by external_id limit $4",
    )
    .bind(fence.scope.tenant().as_str())
    .bind(fence.connection)
    .bind(after)
    .bind(PIECE)
    .fetch_all(&mut *tx)
    .await
    .map_err(cannot("fetch hashes"))?;
    tx.commit().await.map_err(cannot("fetch hashes"))?;
    Ok(hashes)
}
