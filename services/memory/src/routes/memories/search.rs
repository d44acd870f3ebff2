//! `POST /api/v1/memories/search`: finds memories by meaning, by words, or both.
//!
//! Qdrant names candidates by rule R5; one SQL query hydrates them under row-level security, applies every predicate again
//! and returns the route. A route other than the one used means that a move was completed in between: once more, on the
//! new one. Without Qdrant the answer is by words, and says so.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::{Caller, TenantScope};
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;
use aeterna_projection::store::{Hit, Search};

use crate::layer::{LAYERS, Layer};
use crate::memory::Memory;
use crate::permissions::about;
use crate::recheck;
use crate::settings::Onboarding;
use crate::state::{State, embedding_problem, not_declared};
use crate::store::{Found, Predicates, Route, Stored, Words, find};

/// How long Qdrant may take before words must do.
const PATIENCE: Duration = Duration::from_secs(2);

/// The constant of reciprocal rank fusion (Cormack et al. 2009): how little the first place counts over the next.
const FUSION: f32 = 60.0;

/// So many times the limit is looked at where policies may take memories away: a search that they leave nothing of is rare.
const REACH: u32 = 5;

/// Candidates beyond the limit, for those that hydration drops.
const SPARE: usize = 10;

/// How to search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By the nearest vectors.
    Semantic,
    /// By all words of the query.
    Keyword,
    /// Both, fused by rank.
    #[default]
    Hybrid,
}

/// What to search for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SearchRequest)]
pub struct Request {
    /// The text to search for, 1 byte to 8 KiB; or a vector.
    pub query: Option<String>,
    /// A vector of the tenant's model, for semantic search without a text.
    pub vector: Option<Vec<f32>>,
    /// Only these layers.
    #[serde(default)]
    #[schema(value_type = Vec<Layer>)]
    pub layers: Vec<String>,
    /// Only memories with these identifiers.
    #[serde(default)]
    pub identifiers: BTreeMap<String, String>,
    /// Only memories with all of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// At most so many, 1 to 100.
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// Only memories at least so similar by vector, 0 to 1.
    pub threshold: Option<f32>,
    /// How to search.
    #[serde(default)]
    pub mode: Mode,
    /// Tell how each score came about.
    #[serde(default)]
    pub explain: bool,
}

fn default_limit() -> u32 {
    10
}

/// How a score came about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The cosine similarity, if the vector search found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<f32>,
    /// The place in the vector search, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_rank: Option<usize>,
    /// The place in the keyword search, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword_rank: Option<usize>,
}

/// A memory found.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The memory.
    pub memory: Memory,
    /// Semantic: the cosine similarity. Else: the fused rank, comparable within one answer only.
    pub score: f32,
    /// How the score came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SearchResponse)]
pub struct Response {
    /// Best first.
    pub items: Vec<Item>,
    /// The layers that were searched.
    pub searched_layers: Vec<Layer>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Empty when all is well; `keyword_only` when the vector store did not answer.
    pub degraded: Vec<&'static str>,
}

/// Searches memories.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/memories/search", tag = "memories", request_body = Request,
    responses(
        (status = 200, description = "What was found", body = Response),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn search(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Json(request): Json<Request>,
) -> Result<Reply<Response>, Problem> {
    let started = Instant::now();
    let layers = check(&request)?;
    let predicates = Predicates {
        layers: layers.iter().map(|layer| layer.as_str().to_owned()).collect(),
        identifiers: request.identifiers.clone(),
        tags: request.tags.clone(),
    };
    let asked = Asked {
        state: &state,
        scope: &caller.scope,
        request: &request,
        predicates,
        judge: &judge,
    };
    let (items, degraded) = asked.answer().await?;
    let searched_layers = if layers.is_empty() { LAYERS.to_vec() } else { layers };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Reply(Response {
        items,
        searched_layers,
        took_ms,
        degraded,
    }))
}

fn check(request: &Request) -> Result<Vec<Layer>, Problem> {
    let refused = |pointer: &str, message: &str| Err(Problem::field(Code::InvalidBody, pointer, message));
    match (&request.query, &request.vector, request.mode) {
        (Some(_), Some(_), _) | (None, None, _) => return refused("/query", "send a query or a vector"),
        (None, Some(_), Mode::Keyword | Mode::Hybrid) => {
            return refused("/mode", "a vector is searched in mode semantic");
        }
        (Some(query), None, _) if query.trim().is_empty() || query.len() > 8 * 1024 || query.contains('\0') => {
            return refused("/query", "a query has 1 to 8192 bytes, and no NUL");
        }
        (Some(_), None, _) | (None, Some(_), Mode::Semantic) => {}
    }
    if !(1..=100).contains(&request.limit) {
        return refused("/limit", "limit is 1 to 100");
    }
    if request.threshold.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return refused("/threshold", "threshold is 0 to 1");
    }
    let nul = |text: &String| text.contains('\0');
    if request.tags.iter().any(nul) || request.identifiers.iter().any(|(name, value)| nul(name) || nul(value)) {
        return refused("/tags", "tags and identifiers hold no NUL");
    }
    let parse = |(place, layer): (usize, &String)| {
        Layer::parse(layer).ok_or_else(|| {
            let message = format!("layer is {layer:?}, and must be one of: {}", Layer::list());
            Problem::field(Code::InvalidLayer, format!("/layers/{place}"), message)
        })
    };
    request.layers.iter().enumerate().map(parse).collect()
}

struct Asked<'a> {
    state: &'a State,
    scope: &'a TenantScope,
    request: &'a Request,
    predicates: Predicates,
    judge: &'a Judge,
}

/// What Qdrant answered.
enum Candidates {
    /// On this route.
    Hits(Vec<Hit>),
    /// Not at all.
    Away,
}

impl Asked<'_> {
    async fn answer(&self) -> Result<(Vec<Item>, Vec<&'static str>), Problem> {
        let Some(mut route) = self.route().await? else {
            return match self.state.onboarding {
                Onboarding::Open => Ok((Vec::new(), Vec::new())),
                Onboarding::Declared => Err(not_declared(self.scope)),
            };
        };
        // The second time is for a route that changed in between, or a store that did not answer at once; whoever has no
        // luck twice is answered by words.
        let until = Instant::now() + PATIENCE;
        for _ in 0..2 {
            let candidates = self.candidates(&route, until).await?;
            let found = self.hydrate(&candidates).await?;
            let Some(now) = found.route.clone() else {
                return Ok((Vec::new(), Vec::new()));
            };
            self.state.routes.put(self.scope.tenant(), now.clone());
            match candidates {
                Candidates::Hits(hits) if now == route => {
                    recheck::begin(self.state, self.scope, &hits, &found);
                    return Ok((self.rank(&hits, found), Vec::new()));
                }
                Candidates::Hits(_) | Candidates::Away => route = now,
            }
        }
        let found = self.hydrate(&Candidates::Away).await?;
        Ok((self.rank(&[], found), vec!["keyword_only"]))
    }

    async fn route(&self) -> Result<Option<Route>, Problem> {
        if let Some(known) = self.state.routes.get(self.scope.tenant()) {
            return Ok(Some(known));
        }
        let found = find(&self.state.pool, self.scope, &[], Words::None, &self.predicates, 0)
            .await
            .map_err(|error| Problem::database(&error))?;
        Ok(found.route)
    }

    async fn candidates(&self, route: &Route, until: Instant) -> Result<Candidates, Problem> {
        if self.request.mode == Mode::Keyword {
            return Ok(Candidates::Hits(Vec::new()));
        }
        let vector = self.vector(&route.model).await?;
        let Ok(shard) = self.state.applier.shard(&route.shard).await else {
            return Ok(Candidates::Away);
        };
        let search = Search {
            tenant: self.scope.tenant(),
            floor: route.floor,
            vector,
            layers: &self.predicates.layers,
            identifiers: &self.predicates.identifiers,
            tags: &self.predicates.tags,
            limit: u64::from(self.reach()) + u64::try_from(SPARE).unwrap_or_default(),
            threshold: self.request.threshold,
        };
        let Ok(store) = self.state.applier.stores().at(&shard.endpoint) else {
            return Ok(Candidates::Away);
        };
        let left = until.saturating_duration_since(Instant::now());
        match store.search(&shard.collection, search, left).await {
            Ok(hits) => Ok(Candidates::Hits(hits)),
            Err(error) => {
                tracing::info!(shard = %route.shard.shard_id, %error, "a search goes without vectors");
                metrics::counter!("searches_degraded_total").increment(1);
                Ok(Candidates::Away)
            }
        }
    }

    async fn vector(&self, model: &str) -> Result<Vec<f32>, Problem> {
        let model = self
            .state
            .embedders
            .get(model)
            .map_err(|error| embedding_problem("/query", &error))?;
        match (&self.request.vector, &self.request.query) {
            (Some(vector), _) if vector.len() == model.dimension() => Ok(vector.clone()),
            (Some(vector), _) => {
                let message = format!(
                    "{} has {} dimensions, not {}",
                    model.name(),
                    model.dimension(),
                    vector.len()
                );
                Err(Problem::field(Code::InvalidBody, "/vector", message))
            }
            (None, query) => model
                .embed(self.scope, query.as_deref().unwrap_or_default())
                .await
                .map_err(|error| embedding_problem("/query", &error)),
        }
    }

    async fn hydrate(&self, candidates: &Candidates) -> Result<Found, Problem> {
        let query = self.request.query.as_deref();
        let (points, words): (Vec<Uuid>, Words<'_>) = match (candidates, query) {
            (Candidates::Hits(hits), Some(query)) if self.request.mode != Mode::Semantic => {
                (hits.iter().map(|hit| hit.point_id).collect(), Words::All(query))
            }
            (Candidates::Hits(hits), _) => (hits.iter().map(|hit| hit.point_id).collect(), Words::None),
            (Candidates::Away, Some(query)) => (Vec::new(), Words::Any(query)),
            (Candidates::Away, None) => (Vec::new(), Words::None),
        };
        let limit = i32::try_from(self.reach()).unwrap_or(i32::MAX);
        find(&self.state.pool, self.scope, &points, words, &self.predicates, limit)
            .await
            .map_err(|error| Problem::database(&error))
    }

    /// Returns how many memories are looked at: more than asked for where policies may take some of them away.
    fn reach(&self) -> u32 {
        let limit = self.request.limit;
        if self.judge.is_selective() {
            limit.saturating_mul(REACH)
        } else {
            limit
        }
    }

    /// Tells whether the policies let the caller find a memory and read it.
    fn may_see(&self, stored: &Stored) -> bool {
        [action::MEMORY_SEARCH, action::MEMORY_READ]
            .into_iter()
            .all(|action| self.judge.allows(about(action, &stored.memory)))
    }

    /// Orders what both searches found; a hit that hydration did not return is not shown, nor one that the caller may not
    /// see.
    fn rank(&self, hits: &[Hit], mut found: Found) -> Vec<Item> {
        if self.judge.is_selective() {
            found.by_point.retain(|stored| self.may_see(stored));
            found.by_words.retain(|stored| self.may_see(stored));
        }
        let mut by_point: HashMap<Uuid, Stored> = found
            .by_point
            .into_iter()
            .map(|stored| (stored.point_id, stored))
            .collect();
        let mut ranked: Vec<(Stored, Explanation)> = Vec::new();
        for hit in hits {
            if let Some(stored) = by_point.remove(&hit.point_id) {
                let vector_rank = Some(ranked.len() + 1);
                ranked.push((
                    stored,
                    Explanation {
                        vector: Some(hit.score),
                        vector_rank,
                        keyword_rank: None,
                    },
                ));
            }
        }
        for (place, stored) in found.by_words.into_iter().enumerate() {
            let keyword_rank = Some(place + 1);
            match ranked.iter_mut().find(|(known, _)| known.point_id == stored.point_id) {
                Some((_, explanation)) => explanation.keyword_rank = keyword_rank,
                None => ranked.push((
                    stored,
                    Explanation {
                        vector: None,
                        vector_rank: None,
                        keyword_rank,
                    },
                )),
            }
        }
        let semantic = self.request.mode == Mode::Semantic;
        let mut items: Vec<Item> = ranked
            .into_iter()
            .map(|(stored, explanation)| Item {
                memory: stored.memory,
                score: score(semantic, &explanation),
                explain: self.request.explain.then_some(explanation),
            })
            .collect();
        items.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.memory.id.cmp(&b.memory.id)));
        items.truncate(usize::try_from(self.request.limit).unwrap_or(usize::MAX));
        items
    }
}

fn score(semantic: bool, explanation: &Explanation) -> f32 {
    // Ranks are at most some hundreds: exact as f32.
    let part = |rank: Option<usize>| {
        rank.and_then(|rank| u16::try_from(rank).ok())
            .map_or(0.0, |rank| 1.0 / (FUSION + f32::from(rank)))
    };
    match (semantic, explanation.vector) {
        (true, Some(similarity)) => similarity,
        _ => part(explanation.vector_rank) + part(explanation.keyword_rank),
    }
}
