//! The versions of an item.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, tenant_tx};

use super::reader;
use super::row::time;
use crate::access::Rights;

/// One version, without its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The version.
    pub version: i64,
    /// What was done.
    pub action: String,
    /// The kind then.
    pub kind: String,
    /// The layer then.
    pub layer: String,
    /// The status then.
    pub status: String,
    /// The hash of what it said.
    pub hash: Vec<u8>,
    /// What its author said about it.
    pub message: Option<String>,
    /// Who did it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
}

impl FromRow<'_, PgRow> for Past {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            version: row.try_get("version")?,
            action: row.try_get("action")?,
            kind: row.try_get("kind")?,
            layer: row.try_get("layer")?,
            status: row.try_get("status")?,
            hash: row.try_get("content_hash")?,
            message: row.try_get("message")?,
            author: row.try_get("author")?,
            created_at: time(row, "created_at")?,
        })
    }
}

/// Returns the versions of an item below a version, the newest first. Versions in which it was a draft are shown to whose it
/// was then, and to those who may read drafts.
///
/// # Errors
/// When the database does not answer.
pub async fn history(
    pool: &PgPool,
    scope: &TenantScope,
    item: Uuid,
    rights: &Rights,
    below: i64,
    limit: i64,
) -> Result<Vec<Past>, super::Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query = sqlx::query_as(
        "select version, action, attributes->>'kind' as kind, attributes->>'layer' as layer, status, content_hash, message, author,
                created_at
         from knowledge.versions
         where tenant_id = $1 and item_id = $2 and version < $3 and (status <> 'draft' or $4::text is null or owner = $4)
         order by version desc limit $5",
    )
    .bind(scope.tenant().as_str())
    .bind(item)
    .bind(below)
    .bind(reader(rights))
    .bind(limit);
    let found = db::timed("knowledge_history", query.fetch_all(&mut *tx)).await?;
    tx.commit().await?;
    Ok(found)
}
