//! A row as the projection needs it.

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::shards::Life;
use aeterna_tenancy::{Generation, ShardId};

use super::{Error, Result};

/// Whether a memory lives or is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It lives.
    Live,
    /// It was deleted; its row stays as a tombstone, its point becomes a marker.
    Deleted,
}

/// What of a memory goes into its point.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The point's id.
    pub point_id: Uuid,
    /// The memory's id, which is unique only within its tenant.
    pub id: Uuid,
    /// Rises with every change of the row.
    pub version: i64,
    /// Live or deleted.
    pub state: State,
    /// The layer.
    pub layer: String,
    /// The identifiers: an object of strings.
    pub identifiers: Value,
    /// The tags.
    pub tags: Vec<String>,
    /// SHA-256 of the content.
    pub content_hash: Vec<u8>,
    /// The embedding; empty in a tombstone.
    pub embedding: Vec<f32>,
}

/// The select list that [`Row`] reads; `m` is the alias of `memory.memories`.
pub(super) const COLUMNS: &str =
    "m.point_id, m.id, m.version, m.state, m.layer, m.identifiers, m.tags, m.content_hash, m.embedding";

/// Decodes f32 little-endian; `None` when the length is not a multiple of four.
pub(super) fn decode_embedding(bytes: &[u8]) -> Option<Vec<f32>> {
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty()
        .then(|| floats.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

/// Encodes f32 little-endian.
pub(super) fn encode_embedding(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let point_id: Uuid = row.try_get("point_id")?;
        let bytes: &[u8] = row.try_get("embedding")?;
        let embedding = decode_embedding(bytes).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: "embedding".to_owned(),
            source: Box::new(Error::Embedding {
                id: point_id,
                bytes: bytes.len(),
            }),
        })?;
        let state = if row.try_get::<&str, _>("state")? == "live" {
            State::Live
        } else {
            State::Deleted
        };
        Ok(Self {
            point_id,
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            state,
            layer: row.try_get("layer")?,
            identifiers: row.try_get("identifiers")?,
            tags: row.try_get("tags")?,
            content_hash: row.try_get("content_hash")?,
            embedding,
        })
    }
}

/// Fetches the rows of some points, in a transaction that has the tenant's scope.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_rows(tx: &mut PgConnection, tenant: &str, points: &[Uuid]) -> Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m where m.tenant_id = $1 and m.point_id = any($2)"
    )))
    .bind(tenant)
    .bind(points)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read rows by point"))
}

/// Fetches the route's shard, in the life that is meant, and write generation together with the rows of some points, as they are now; `None` for a
/// tenant without a route.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn fetch_for_apply(
    pool: &PgPool,
    scope: &TenantScope,
    points: &[Uuid],
) -> Result<Option<(Life, Generation, Vec<Row>)>> {
    const OPERATION: &str = "read rows to apply";
    let tenant = scope.tenant().as_str();
    let mut tx = aeterna_kit::db::tenant_tx(pool, scope)
        .await
        .map_err(Error::transaction(OPERATION))?;
    // The route first: a flip between the two statements makes the confirmation fail, and the rows are applied again.
    let route: Option<(ShardId, Uuid, Generation)> = sqlx::query_as(
        "select t.shard_id, s.identity, t.generation from routing.tenants t join routing.shards s using (shard_id)
         where t.tenant_id = $1",
    )
    .bind(tenant)
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(OPERATION))?;
    let Some((shard_id, identity, generation)) = route else {
        return Ok(None);
    };
    let rows = fetch_rows(&mut tx, tenant, points).await?;
    Ok(Some((Life { shard_id, identity }, generation, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_survives_its_encoding() {
        let vector = vec![0.25_f32, -1.0, f32::MIN_POSITIVE];
        assert_eq!(decode_embedding(&encode_embedding(&vector)), Some(vector));
        assert_eq!(decode_embedding(&[0, 0, 0]), None);
    }
}
