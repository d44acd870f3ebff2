//! A row as a memory.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use aeterna_kit::hex::hex;

use crate::layer::Layer;
use crate::memory::Memory;

/// A memory, or what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its point.
    pub point_id: Uuid,
    /// It was deleted, or its time is over.
    pub gone: bool,
    /// The memory; its content is empty when it is gone by deletion.
    pub memory: Memory,
}

/// The select list that [`Stored`] reads; `m` is the alias of the row.
pub(super) const COLUMNS: &str = "m.point_id, m.id, m.tenant_id, m.content, m.layer, m.identifiers, m.metadata, m.tags,
    m.importance, m.version, m.content_hash, m.model, m.created_at, m.updated_at, m.expires_at,
    (m.state = 'deleted' or coalesce(m.expires_at <= now(), false)) as gone";

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column)
                .map(jiff_sqlx::Timestamp::to_jiff)
        };
        let layer: &str = row.try_get("layer")?;
        let hash: &[u8] = row.try_get("content_hash")?;
        let memory = Memory {
            id: row.try_get("id")?,
            tenant_id: row.try_get("tenant_id")?,
            content: row.try_get("content")?,
            // The table's check constraint allows no other.
            layer: Layer::parse(layer).unwrap_or(Layer::User),
            identifiers: row.try_get::<sqlx::types::Json<_>, _>("identifiers")?.0,
            metadata: row.try_get::<sqlx::types::Json<_>, _>("metadata")?.0,
            tags: row.try_get("tags")?,
            importance: row.try_get("importance")?,
            version: row.try_get("version")?,
            content_hash: hex(hash),
            embedding_model: row.try_get("model")?,
            created_at: time("created_at")?,
            updated_at: time("updated_at")?,
            expires_at: row
                .try_get::<Option<jiff_sqlx::Timestamp>, _>("expires_at")?
                .map(jiff_sqlx::Timestamp::to_jiff),
        };
        Ok(Self {
            point_id: row.try_get("point_id")?,
            gone: row.try_get("gone")?,
            memory,
        })
    }
}
