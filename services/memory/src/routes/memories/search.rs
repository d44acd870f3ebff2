//! `POST /api/v1/memories/search`: finds memories by meaning, by words, or both.

mod answer;

use std::collections::BTreeMap;

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;

use crate::layer::{LAYERS, Layer};
use crate::memory::Memory;
use crate::state::State;
use crate::store::Predicates;

use answer::Asked;

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
