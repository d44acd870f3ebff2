//! What a context is put together from.

use std::collections::HashMap;

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

/// An item without its text.
#[derive(Debug, FromRow)]
pub struct Outline {
    /// The item; its body is empty.
    #[sqlx(flatten)]
    pub stored: Stored,
    /// How many bytes its text has.
    #[sqlx(try_from = "i32")]
    pub bytes: u32,
}

/// Fetches items by their rows and by their paths, and the policies that must be followed, each once, in no order.
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
) -> sqlx::Result<Vec<Outline>> {
    let query = sqlx::query_as("select * from knowledge.context($1, $2, $3, $4, $5, $6)")
        .bind(scope.tenant().as_str())
        .bind(ids)
        .bind(paths)
        .bind(layers)
        .bind(POLICIES)
        .bind(reader(rights));
    single("knowledge_context", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await
}

/// Fetches what items say in versions of them, by their rows.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_texts(
    pool: &PgPool,
    scope: &TenantScope,
    ids: &[Uuid],
    versions: &[i64],
) -> sqlx::Result<HashMap<Uuid, String>> {
    let query = sqlx::query_as("select item_id, body from knowledge.texts($1, $2, $3)")
        .bind(scope.tenant().as_str())
        .bind(ids)
        .bind(versions);
    let found: Vec<(Uuid, String)> = single("knowledge_texts", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await?;
    Ok(found.into_iter().collect())
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
