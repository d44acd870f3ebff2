//! What a context is put together from.

use sqlx::PgPool;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;

use super::reader;
use crate::access::Rights;
use crate::item::Stored;

/// Policies that must be followed, at most; what must be followed is little, or nobody follows it.
const POLICIES: i32 = 20;

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
) -> sqlx::Result<Vec<Stored>> {
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
