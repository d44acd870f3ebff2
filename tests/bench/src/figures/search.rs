//! Searching a tenant of 20,000 memories: in the default mode, by meaning and by words, and by meaning alone.
//!
//! Ours: `POST /api/v1/memories/search` with a text, which the service embeds; every request of a round has a text of its
//! own. Bare: the same two operations with the vector made beforehand, the store's query for the same 20 candidates, then
//! `memory.find`, which hydrates them and searches the words, decoded, through a pool of as many connections.

use std::collections::BTreeMap;
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_projection::store::{Search, Store};
use aeterna_tenancy::Generation;
use anyhow::{Result, ensure};
use memory_service::store::{Predicates, Words, find};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::served::{Expected, Read, Served};
use crate::ground::Ground;
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::table::Row;

/// Hits that are asked for, the default.
const LIMIT: u32 = 10;

/// Candidates that the service asks the store for.
const CANDIDATES: u64 = 20;

/// How long the store may take, as in the service.
const PATIENCE: Duration = Duration::from_secs(2);

/// A way to search, and searches of a round.
const MODES: [(Mode, u64); 2] = [(Mode::Hybrid, 600), (Mode::Semantic, 1_500)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Hybrid,
    Semantic,
}

/// Measures searches.
pub async fn measure(ground: &Ground, served: &Served, read: &Read) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (mode, tasks) in MODES {
        rows.extend(measure_mode(ground, served, read, mode, tasks).await?);
    }
    Ok(rows)
}

async fn measure_mode(ground: &Ground, served: &Served, read: &Read, mode: Mode, tasks: u64) -> Result<[Row; 2]> {
    let (name, word) = match mode {
        Mode::Hybrid => ("search, hybrid (the default)", "hybrid"),
        Mode::Semantic => ("search, semantic", "semantic"),
    };
    let queries = |round: usize| -> Vec<String> {
        let first = u64::try_from(round).unwrap_or_default() * tasks;
        (first..first + tasks).map(|n| ground.corpus.query(n)).collect()
    };
    let expected = Expected {
        status: 200,
        part: "\"items\":[{",
    };
    let client = Bare::new(ground, &read.scope, mode).await?;
    let (ours, bare) = alternate(
        async |round| {
            let request = |query: String| {
                let body = json!({"query": query, "limit": LIMIT, "mode": word}).to_string();
                render("POST", "/api/v1/memories/search", read.scope.tenant().as_str(), &body)
            };
            let requests = queries(round).into_iter().map(request).collect();
            run(served.callers(expected).await?, requests).await
        },
        async |round| {
            let queries = queries(round).into_iter();
            let embedded = queries.map(|query| Ok((ground.model.embed(&query)?, query)));
            run(vec![client.clone(); CLIENTS], embedded.collect::<Result<Vec<_>>>()?).await
        },
    )
    .await?;
    Ok(Row::endpoint(name, &ours, &bare))
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    store: Store,
    scope: TenantScope,
    collection: String,
    floor: Generation,
    mode: Mode,
}

impl Bare {
    async fn new(ground: &Ground, scope: &TenantScope, mode: Mode) -> Result<Self> {
        let (shard, route) = ground.place(scope).await?;
        Ok(Self {
            pool: ground.pool.clone(),
            store: ground.store()?,
            scope: scope.clone(),
            collection: shard.collection,
            floor: route.floor,
            mode,
        })
    }
}

impl Client<(Vec<f32>, String)> for Bare {
    async fn work(&mut self, (vector, query): &(Vec<f32>, String)) -> Result<()> {
        let search = Search {
            tenant: self.scope.tenant(),
            floor: self.floor,
            vector: vector.clone(),
            layers: &[],
            identifiers: &BTreeMap::new(),
            tags: &[],
            limit: CANDIDATES,
            threshold: None,
        };
        let hits = self.store.search(&self.collection, search, PATIENCE).await?;
        let points: Vec<Uuid> = hits.iter().map(|hit| hit.point_id).collect();
        let words = match self.mode {
            Mode::Hybrid => Words::All(query),
            Mode::Semantic => Words::None,
        };
        let (everything, limit) = (Predicates::default(), i32::try_from(LIMIT)?);
        let found = find(&self.pool, &self.scope, &points, words, &everything, limit).await?;
        ensure!(!found.by_point.is_empty(), "nothing is found for {query}");
        Ok(())
    }
}
