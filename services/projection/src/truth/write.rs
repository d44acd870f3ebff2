//! The one door for changes: `memory.write`, one round trip, one transaction.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::Generation;
use aeterna_tenancy::shards::Life;

use super::row::encode_embedding;
use super::{Error, Result};

/// What kind of change an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Makes a memory.
    Create,
    /// Deletes it on request.
    Delete,
    /// Deletes it if its `expires_at` has passed.
    Expire,
    /// Gives a point without a row its tombstone.
    Orphan,
    /// Gives a row a new version, for its point is not as it is and has its version.
    Renew,
}

/// One change of a batch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteItem {
    /// The kind.
    pub kind: Kind,
    /// The memory's id.
    pub id: Uuid,
    /// Orphan and renew: the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_id: Option<Uuid>,
    /// Create: the layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Create: the text. PostgreSQL takes no NUL in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Create: an object of strings.
    pub identifiers: Value,
    /// Create: an object.
    pub metadata: Value,
    /// Create: the tags.
    pub tags: Vec<String>,
    /// Create: 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<f32>,
    /// Create: when it dies by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Create: an equal live memory is returned instead.
    pub dedupe: bool,
    /// Create: the id stands for a request, not for a memory; the same request does not make a deleted memory again.
    pub keyed: bool,
    /// Create: the vector.
    #[serde(skip)]
    pub embedding: Vec<f32>,
    /// Create: SHA-256 of the text.
    #[serde(skip)]
    pub content_hash: Vec<u8>,
}

impl WriteItem {
    /// Returns a change that carries only ids: a deletion, an expiry, an orphan's tombstone or a new version.
    #[must_use]
    pub fn bare(kind: Kind, id: Uuid) -> Self {
        Self {
            kind,
            id,
            point_id: matches!(kind, Kind::Orphan | Kind::Renew).then_some(id),
            layer: None,
            content: None,
            identifiers: Value::Object(serde_json::Map::new()),
            metadata: Value::Object(serde_json::Map::new()),
            tags: Vec::new(),
            importance: None,
            expires_at: None,
            dedupe: false,
            keyed: false,
            embedding: Vec::new(),
            content_hash: Vec::new(),
        }
    }
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The memory was made, or made again after its deletion.
    Created,
    /// An equal live memory is there.
    Duplicate,
    /// The id is there with the same content.
    Exists,
    /// The id is there with other content.
    Conflict,
    /// The keyed id was there and is deleted.
    Gone,
    /// The memory, or the orphan, is a tombstone now.
    Deleted,
    /// The row has a new version.
    Renewed,
    /// There was nothing to delete or to renew.
    Absent,
}

/// The answer to an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What became of it.
    pub outcome: Outcome,
    /// The memory's id; of the equal one for a duplicate.
    pub id: Uuid,
    /// Its point; none when absent.
    pub point_id: Option<Uuid>,
    /// Its version; none when absent.
    pub version: Option<i64>,
    /// The outbox row to confirm; only for created, deleted and renewed.
    pub outbox_id: Option<i64>,
    /// When the memory was made.
    pub created_at: Option<Timestamp>,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
    /// The route's shard, in the life that is meant.
    pub shard: Life,
    /// The route's write generation.
    pub generation: Generation,
}

impl FromRow<'_, PgRow> for Written {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let outcome = match row.try_get::<&str, _>("outcome")? {
            "created" => Outcome::Created,
            "duplicate" => Outcome::Duplicate,
            "exists" => Outcome::Exists,
            "conflict" => Outcome::Conflict,
            "gone" => Outcome::Gone,
            "deleted" => Outcome::Deleted,
            "renewed" => Outcome::Renewed,
            _ => Outcome::Absent,
        };
        let time = |column: &str| {
            row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)
                .map(|at| at.map(jiff_sqlx::Timestamp::to_jiff))
        };
        Ok(Self {
            outcome,
            id: row.try_get("memory_id")?,
            point_id: row.try_get("point")?,
            version: row.try_get("row_version")?,
            outbox_id: row.try_get("outbox")?,
            created_at: time("created")?,
            updated_at: time("updated")?,
            shard: Life {
                shard_id: row.try_get("shard")?,
                identity: row.try_get("identity")?,
            },
            generation: row.try_get("write_generation")?,
        })
    }
}

/// Writes a batch of one tenant and returns the answers in the order of the items. All or nothing is committed.
///
/// `claim` is how long the caller keeps its outbox rows to itself; after it the relay takes them.
///
/// # Errors
/// [`Error::TenantUnknown`], [`Error::ModelDiffers`], [`Error::NotWritable`], [`Error::Fenced`], or [`Error::Database`]:
/// then it is unknown whether the batch was committed.
pub async fn write(
    pool: &PgPool,
    scope: &TenantScope,
    model: &str,
    items: &[WriteItem],
    claim: Duration,
) -> Result<Vec<Written>> {
    let embeddings: Vec<Vec<u8>> = items.iter().map(|item| encode_embedding(&item.embedding)).collect();
    let hashes: Vec<&[u8]> = items.iter().map(|item| item.content_hash.as_slice()).collect();
    let query =
        sqlx::query_as("select * from memory.write($1, $2, $3, $4, $5, make_interval(secs => $6)) order by ord")
            .bind(scope.tenant().as_str())
            .bind(model)
            .bind(sqlx::types::Json(items))
            .bind(embeddings)
            .bind(hashes)
            .bind(claim.as_secs_f64());
    aeterna_kit::db::single("memory_write", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await
    .map_err(|source| classify(scope, source))
}

fn classify(scope: &TenantScope, source: sqlx::Error) -> Error {
    let tenant = || scope.tenant().to_string();
    let refused = source.as_database_error();
    match refused.and_then(sqlx::error::DatabaseError::code).as_deref() {
        Some("AE001") => Error::TenantUnknown { tenant: tenant() },
        Some("AE002") => Error::ModelDiffers {
            wanted: refused
                .and_then(|error| error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
                .and_then(sqlx::postgres::PgDatabaseError::detail)
                .unwrap_or_default()
                .to_owned(),
        },
        Some("AE003") => Error::NotWritable { tenant: tenant() },
        Some("55P03") => Error::Fenced { tenant: tenant() },
        Some(_) | None => Error::Database {
            operation: "write memories",
            source,
        },
    }
}
