//! A row as an item.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};

use crate::item::{Snapshot, Stored};

/// Reads a time.
pub(super) fn time(row: &PgRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get::<jiff_sqlx::Timestamp, _>(column)
        .map(jiff_sqlx::Timestamp::to_jiff)
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("item_id")?,
            path: row.try_get("path")?,
            snapshot: Snapshot {
                attributes: row.try_get::<Json<_>, _>("attributes")?.0,
                body: row.try_get("body")?,
            },
            version: row.try_get("version")?,
            hash: row.try_get("content_hash")?,
            superseded_by: row.try_get("superseded_by")?,
            author: row.try_get("author")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
            deleted: row.try_get("deleted")?,
        })
    }
}
