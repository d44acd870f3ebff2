//! What a context is put together from.

use futures::TryStreamExt as _;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, single, tenant_tx};

use super::{Error, reader};
use crate::access::Rights;
use crate::item::Stored;

/// Policies that must be followed and are read, at most: 100 say more than any budget holds. The rest are named.
const POLICIES: i32 = 100;

/// Policies that are named beyond those, at most.
const NAMED: i32 = 1000;

/// A policy that must be followed and is not read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Beyond {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: i64,
    /// Its layer.
    pub layer: String,
}

/// Fetches items by their rows and by their paths, and the policies that must be followed, each once, in no order. They are
/// handed over one by one: all texts together may be large.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_for_context(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    ids: &[Uuid],
    paths: &[String],
    layers: &[String],
    mut each: impl FnMut(Stored),
) -> sqlx::Result<()> {
    let query = sqlx::query_as("select * from knowledge.context($1, $2, $3, $4, $5, $6)")
        .bind(scope.tenant().as_str())
        .bind(ids)
        .bind(paths)
        .bind(layers)
        .bind(POLICIES)
        .bind(reader(rights));
    single("knowledge_context", pool, async |connection| {
        let mut rows = query.fetch(connection);
        while let Some(stored) = rows.try_next().await? {
            each(stored);
        }
        Ok(())
    })
    .await
}

/// Names the policies that must be followed beyond those that are read, in their order.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_beyond(pool: &PgPool, scope: &TenantScope, layers: &[String]) -> Result<Vec<Beyond>, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query = sqlx::query_as(
        "select path, version, layer from knowledge.items
         where tenant_id = $1 and kind = 'policy' and severity = 'block' and status = 'accepted' and deleted_at is null
           and ($2 = '{}' or layer = any($2))
         order by array_position(array['company', 'org', 'team', 'project'], layer), path offset $3 limit $4",
    )
    .bind(scope.tenant().as_str())
    .bind(layers)
    .bind(POLICIES)
    .bind(NAMED);
    let found = db::timed("knowledge_beyond", query.fetch_all(&mut *tx)).await?;
    tx.commit().await?;
    Ok(found)
}

/// Tells whether there may be more policies that must be followed than were read.
#[must_use]
pub fn may_be_more(read: usize) -> bool {
    i32::try_from(read).is_ok_and(|read| read >= POLICIES)
}
