//! One item.

use sqlx::PgPool;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;

use crate::item::Stored;
use crate::path::ItemPath;

/// Fetches what is at a path, live or deleted.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch(pool: &PgPool, scope: &TenantScope, path: &ItemPath) -> sqlx::Result<Option<Stored>> {
    ask(pool, scope, path, None).await
}

/// Fetches what was at a path in a version.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_version(
    pool: &PgPool,
    scope: &TenantScope,
    path: &ItemPath,
    version: i64,
) -> sqlx::Result<Option<Stored>> {
    ask(pool, scope, path, Some(version)).await
}

async fn ask(
    pool: &PgPool,
    scope: &TenantScope,
    path: &ItemPath,
    version: Option<i64>,
) -> sqlx::Result<Option<Stored>> {
    let query = sqlx::query_as("select * from knowledge.fetch($1, $2, $3)")
        .bind(scope.tenant().as_str())
        .bind(path.as_str())
        .bind(version);
    single("knowledge_fetch", pool, async |connection| {
        query.fetch_optional(connection).await
    })
    .await
}
