//! What lies in a folder.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;

use super::{reader, row};
use crate::access::Rights;
use crate::path::FolderPath;

/// An item or a folder in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// What it is; a folder when there is nothing to say.
    pub item: Option<Head>,
    /// The place behind it, to go on from.
    pub after: String,
}

/// What a listing says about an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its layer.
    pub layer: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: i64,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let item = if row.try_get("folder")? {
            None
        } else {
            Some(Head {
                title: row.try_get("title")?,
                kind: row.try_get("kind")?,
                layer: row.try_get("layer")?,
                status: row.try_get("status")?,
                version: row.try_get("version")?,
                updated_at: row::time(row, "updated_at")?,
            })
        };
        Ok(Self {
            name: row.try_get("name")?,
            item,
            after: row.try_get("after")?,
        })
    }
}

/// Lists a folder by name, from a place on.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    folder: &FolderPath,
    from: &str,
    limit: i32,
) -> sqlx::Result<Vec<Entry>> {
    let query = sqlx::query_as("select * from knowledge.list($1, $2, $3, $4, $5)")
        .bind(scope.tenant().as_str())
        .bind(folder.prefix())
        .bind(from)
        .bind(reader(rights))
        .bind(limit);
    single("knowledge_list", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await
}
