//! Search by words.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;

use super::{reader, row};
use crate::access::Rights;
use crate::query::Query;

/// Matches that are ranked, at most; of more, those changed last. Reading the words of one takes some 5 µs.
pub const RANKED: i32 = 2000;

/// What to search for, and where.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The query.
    pub query: Query,
    /// Any of its words will do; else all must be there.
    pub any: bool,
    /// Only these layers; all when empty.
    pub layers: Vec<String>,
    /// Only these kinds; all when empty.
    pub kinds: Vec<String>,
    /// Only these statuses; all when empty.
    pub statuses: Vec<String>,
    /// Only items with all of these tags.
    pub tags: Vec<String>,
    /// Only paths that begin so.
    pub prefix: String,
    /// Only items changed since.
    pub since: Option<Timestamp>,
    /// Only what comes behind this hit.
    pub after: Option<(f32, Uuid)>,
    /// At most so many hits.
    pub limit: i32,
    /// Count all matches by kind, layer and status.
    pub facets: bool,
}

/// An item found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its row.
    pub id: Uuid,
    /// How well it matches.
    pub score: f32,
    /// Its path.
    pub path: String,
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
    /// A piece of its text; the words stand between U+E000 and U+E001.
    pub snippet: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How many items match.
    pub total: i64,
    /// Of all that match: (kind, layer or status; its value; how many).
    pub facets: Vec<(String, String, i64)>,
}

/// Searches a tenant's items.
///
/// # Errors
/// When the database does not answer.
pub async fn search(pool: &PgPool, scope: &TenantScope, rights: &Rights, search: &Search) -> sqlx::Result<Found> {
    let query = sqlx::query(
        "select * from knowledge.search($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(scope.tenant().as_str())
    .bind(&search.query.words)
    .bind(&search.query.phrases)
    .bind(&search.query.prefixes)
    .bind(&search.query.without)
    .bind(search.any)
    .bind(&search.layers)
    .bind(&search.kinds)
    .bind(&search.statuses)
    .bind(&search.tags)
    .bind(&search.prefix)
    .bind(search.since.map(Timestamp::to_sqlx))
    .bind(reader(rights))
    .bind(RANKED)
    .bind(search.after.map(|(score, _)| score))
    .bind(search.after.map(|(_, id)| id))
    .bind(search.limit)
    .bind(search.facets);
    let rows = single("knowledge_search", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await?;
    let mut found = Found::default();
    for row in rows {
        match row.try_get::<&str, _>("row_kind")? {
            "hit" => found.hits.push(read_hit(&row)?),
            "total" => found.total = row.try_get("count")?,
            _ => found
                .facets
                .push((row.try_get("facet")?, row.try_get("value")?, row.try_get("count")?)),
        }
    }
    Ok(found)
}

fn read_hit(row: &PgRow) -> sqlx::Result<Hit> {
    Ok(Hit {
        id: row.try_get("item_id")?,
        score: row.try_get("score")?,
        path: row.try_get("path")?,
        title: row.try_get("title")?,
        kind: row.try_get("kind")?,
        layer: row.try_get("layer")?,
        status: row.try_get("status")?,
        version: row.try_get("version")?,
        updated_at: row::time(row, "updated_at")?,
        snippet: row.try_get("snippet")?,
    })
}
