//! The two reads: one memory by id, and the hydration of a search.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{FromRow as _, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;
use aeterna_tenancy::shards::Life;

use super::Route;
use super::row::{COLUMNS, Stored};

/// What a memory must satisfy to be found, whatever the vector store says.
#[derive(Debug, Clone, Default)]
pub struct Predicates {
    /// Only these layers; all when empty.
    pub layers: Vec<String>,
    /// Only memories with these identifiers.
    pub identifiers: BTreeMap<String, String>,
    /// Only memories with all of these tags.
    pub tags: Vec<String>,
}

/// The words of a keyword search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words<'a> {
    /// No keyword search.
    None,
    /// Memories with all of them.
    All(&'a str),
    /// Memories with any of them: when nothing else finds anything.
    Any(&'a str),
}

/// The answer to a search.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The route at that moment; none for a tenant that is not registered.
    pub route: Option<Route>,
    /// The live memories among the points asked for, in no order.
    pub by_point: Vec<Stored>,
    /// The memories with the words, best first.
    pub by_words: Vec<Stored>,
}

/// Fetches a memory or its tombstone.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch(pool: &PgPool, scope: &TenantScope, id: Uuid) -> sqlx::Result<Option<Stored>> {
    let query = format!("select {COLUMNS} from memory.fetch($1, $2) m");
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(scope.tenant().as_str())
        .bind(id);
    single("memory_fetch", pool, async |connection| {
        query.fetch_optional(connection).await
    })
    .await
}

/// Hydrates points, searches words, and reads the route, in one round trip.
///
/// # Errors
/// When the database does not answer.
pub async fn find(
    pool: &PgPool,
    scope: &TenantScope,
    points: &[Uuid],
    words: Words<'_>,
    predicates: &Predicates,
    limit: i32,
) -> sqlx::Result<Found> {
    let (text, any) = match words {
        Words::None => (None, false),
        Words::All(text) => (Some(text), false),
        Words::Any(text) => (Some(text), true),
    };
    let query = format!(
        "select f.source, f.shard, f.identity as shard_identity, f.floor, f.model as route_model, {COLUMNS}
         from memory.find($1, $2, $3, $4, $5, $6, $7, $8) with ordinality
              as f(source, rank, shard, identity, floor, write_generation, model, memory, n),
              lateral (select (f.memory).*) m
         order by f.n"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(scope.tenant().as_str())
        .bind(points)
        .bind(text)
        .bind(any)
        .bind(&predicates.layers)
        .bind(sqlx::types::Json(&predicates.identifiers))
        .bind(&predicates.tags)
        .bind(limit);
    let rows = single("memory_find", pool, async |connection| {
        query.fetch_all(connection).await
    })
    .await?;
    let mut found = Found::default();
    for row in rows {
        match row.try_get::<&str, _>("source")? {
            "route" => found.route = Some(read_route(&row)?),
            "vector" => found.by_point.push(Stored::from_row(&row)?),
            _ => found.by_words.push(Stored::from_row(&row)?),
        }
    }
    Ok(found)
}

fn read_route(row: &PgRow) -> sqlx::Result<Route> {
    Ok(Route {
        shard: Life {
            shard_id: row.try_get("shard")?,
            identity: row.try_get("shard_identity")?,
        },
        floor: row.try_get("floor")?,
        model: row.try_get("route_model")?,
    })
}
