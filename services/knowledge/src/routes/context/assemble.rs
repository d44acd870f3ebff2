//! `POST /api/v1/context/assemble`: what is worth telling a model about a question, within a budget of tokens.
//!
//! Candidates are always fetched anew, in the caller's own scope; only the work of ordering and packing them is cached, under
//! a key that names the caller and every candidate with its version. So the cache saves time and never tells what has changed
//! or may not be seen any more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::hex::hex;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use super::gather::{Gathered, Row, fill, gather};
use crate::by::By;
use crate::context::pack::pack;
use crate::context::rank::{Reason, Taste, rank};
use crate::context::{Candidate, Depth, Source};
use crate::item::Layer;
use crate::path::ItemPath;
use crate::state::State;
use crate::tokens::ENCODING;

/// How long a packed context is kept.
const LIFE: Duration = Duration::from_secs(300);

/// Contexts that are put together at once: each takes a processor for as long as it takes.
pub const AT_ONCE: usize = 4;

/// What to tell, and how much.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ContextRequest)]
pub struct Request {
    /// The question, 1 byte to 4 KiB.
    pub query: String,
    /// Tokens at most, 100 to 200000, fences and all.
    #[serde(default = "default_budget")]
    pub token_budget: u32,
    /// Only items of these layers. Memories are the caller's, whatever their layer.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Which sources to look into.
    #[serde(default)]
    pub include: Include,
    /// Paths of items to tell in any case, right behind the policies; at most 20.
    #[serde(default)]
    pub pinned: Vec<String>,
    /// Leave out what is less relevant, 0 to 1. Policies and pinned items stay.
    #[serde(default = "default_relevance")]
    pub min_relevance: f64,
    /// 1 tells the most relevant, 0 the most different.
    #[serde(default = "default_lambda")]
    pub mmr_lambda: f64,
    /// How long the memory service may take, 50 to 5000 milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u32,
}

fn default_budget() -> u32 {
    4000
}
fn default_relevance() -> f64 {
    0.3
}
fn default_lambda() -> f64 {
    0.5
}
fn default_timeout() -> u32 {
    1000
}

/// Sources to look into; all if nothing is said.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches of the API, each by its name"
)]
pub struct Include {
    /// Accepted policies: those that block always, others if they fit the question.
    pub policies: bool,
    /// Items of other kinds.
    pub knowledge: bool,
    /// Notes.
    pub notes: bool,
    /// The caller's memories.
    pub memories: bool,
}

impl Default for Include {
    fn default() -> Self {
        Self {
            policies: true,
            knowledge: true,
            notes: true,
            memories: true,
        }
    }
}

impl Include {
    /// Tells whether a source is asked for.
    pub(super) fn has(self, source: Source) -> bool {
        match source {
            Source::Policy => self.policies,
            Source::Knowledge => self.knowledge,
            Source::Note => self.notes,
            Source::Memory => self.memories,
        }
    }
}

/// One source in the context.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ContextEntry)]
pub struct Entry {
    /// Where it is to be found, with its version: `knowledge:a/b.md@3`, `memory:…@1`.
    pub r#ref: String,
    /// Where it comes from.
    pub source: Source,
    /// Its layer.
    pub layer: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How much of it is told.
    pub depth: Depth,
    /// Its tokens, with its fence.
    pub tokens: usize,
    /// How relevant it is, 0 to 1.
    pub score: f64,
}

/// A source that is not in the context.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Where it is to be found.
    pub r#ref: String,
    /// Why it is not told.
    pub reason: Reason,
}

/// The context itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Names this context; the same sources and the same question give the same.
    pub context_id: String,
    /// The text to tell: each source in a fence that says where it comes from.
    pub content: String,
    /// Its tokens; never more than the budget.
    pub total_tokens: usize,
    /// How they are counted.
    pub encoding: String,
    /// What is in it, in order.
    pub entries: Vec<Entry>,
    /// What is not.
    pub dropped: Vec<Dropped>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssembledContext)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each tells one thing about the answer, by its name"
)]
pub struct Response {
    /// The context.
    #[serde(flatten)]
    pub context: Context,
    /// The budget.
    pub token_budget: u32,
    /// It holds, as it always does.
    pub is_within_budget: bool,
    /// How many sources are told.
    pub entry_count: usize,
    /// Their layers, by name.
    pub layers_included: Vec<String>,
    /// Memories were asked for and could not be had in time.
    pub partial: bool,
    /// What is related to what the words found was looked at; without it, words alone decide.
    pub linked: bool,
    /// It had been put together before.
    pub cache_hit: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Assembles a context: policies first, then what fits the question best for its tokens, shortened before it is dropped.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/context/assemble", tag = "context", request_body = Request,
    responses(
        (status = 200, description = "The context", body = Response),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn assemble(
    by: By,
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(mut request): Json<Request>,
) -> Result<Reply<Response>, Problem> {
    let started = Instant::now();
    check(&mut request)?;
    let Gathered {
        candidates,
        rows,
        beyond,
        partial,
        linked,
    } = gather(&state, &by, &headers, &request).await?;
    let key = key(&by, &request, &candidates, &beyond);
    let known = state
        .cache
        .get(&key)
        .await
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let cache_hit = known.is_some();
    let token_budget = request.token_budget;
    let context = match known {
        Some(context) => {
            metrics::counter!("cache_hits_total").increment(1);
            context
        }
        None => {
            metrics::counter!("cache_misses_total").increment(1);
            let question = request.query.clone();
            let candidates = fill(&state, &by, candidates, &rows).await?;
            let context = put_together(&state, key, request, candidates, beyond).await?;
            state.uses.count(&by, &question, told(&context, &rows));
            context
        }
    };
    let layers: BTreeSet<String> = context.entries.iter().map(|entry| entry.layer.clone()).collect();
    Ok(Reply(Response {
        is_within_budget: u32::try_from(context.total_tokens).is_ok_and(|total| total <= token_budget),
        entry_count: context.entries.len(),
        layers_included: layers.into_iter().collect(),
        context,
        token_budget,
        partial,
        linked,
        cache_hit,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

fn check(request: &mut Request) -> Result<(), Problem> {
    let refused = |pointer: &str, message: &str| Err(Problem::field(Code::InvalidBody, pointer, message));
    if request.query.trim().is_empty() || request.query.len() > 4096 || request.query.contains('\0') {
        return refused("/query", "a query has 1 to 4096 bytes, and no NUL");
    }
    if !(100..=200_000).contains(&request.token_budget) {
        return refused("/tokenBudget", "tokenBudget is 100 to 200000");
    }
    if !(50..=5000).contains(&request.timeout_ms) {
        return refused("/timeoutMs", "timeoutMs is 50 to 5000");
    }
    if !(0.0..=1.0).contains(&request.min_relevance) {
        return refused("/minRelevance", "minRelevance is 0 to 1");
    }
    if !(0.0..=1.0).contains(&request.mmr_lambda) {
        return refused("/mmrLambda", "mmrLambda is 0 to 1");
    }
    if request.pinned.len() > 20 {
        return refused("/pinned", "at most 20 items are pinned");
    }
    for (place, path) in request.pinned.iter_mut().enumerate() {
        let checked = ItemPath::parse(path)
            .map_err(|error| Problem::field(Code::InvalidPath, format!("/pinned/{place}"), error.to_string()))?;
        // As it is kept.
        *path = checked.to_string();
    }
    request.pinned.sort();
    request.pinned.dedup();
    Ok(())
}

/// The items that a context tells because they fit, in order. Policies are told anyway, which says nothing about them.
fn told(context: &Context, rows: &HashMap<String, Row>) -> Vec<Uuid> {
    let fitting = context.entries.iter().filter(|entry| entry.source != Source::Policy);
    fitting
        .filter_map(|entry| rows.get(&entry.r#ref).map(|row| row.id))
        .collect()
}

/// Names the work: who asks what, and what there is to tell, each in its version.
fn key(by: &By, request: &Request, candidates: &[Candidate], beyond: &[(String, Reason)]) -> String {
    let mut references: Vec<(&str, String)> = candidates
        .iter()
        .map(|one| (one.reference.as_str(), format!("{:?}", one.relevance)))
        .collect();
    references.sort();
    let parts = serde_json::json!([
        // Another release may tell the same otherwise.
        env!("CARGO_PKG_VERSION"),
        by.scope.tenant().as_str(),
        by.rights.subject(),
        request,
        references,
        beyond
    ]);
    format!("knowledge:context:{}", hex(&Sha256::digest(parts.to_string())))
}

/// Orders and packs away from the threads that serve others: the tokens of forty long items take their time.
async fn put_together(
    state: &State,
    key: String,
    request: Request,
    candidates: Vec<Candidate>,
    beyond: Vec<(String, Reason)>,
) -> Result<Context, Problem> {
    let context_id: String = key.chars().rev().take(32).collect();
    let places = Arc::clone(&state.contexts);
    let place = places.acquire_owned().await;
    let place = place.map_err(|error| Problem::hiding(Code::Internal, "there is no place to work", &error))?;
    // The place goes with the work: it goes on also when nobody waits any more.
    let work = move || {
        let context = build(context_id, &request, candidates, beyond);
        drop(place);
        context
    };
    let context = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::hiding(Code::Internal, "the context could not be put together", &error))?;
    if let Ok(bytes) = serde_json::to_vec(&context) {
        state.cache.put(&key, bytes, LIFE).await;
    }
    Ok(context)
}

fn build(context_id: String, request: &Request, candidates: Vec<Candidate>, beyond: Vec<(String, Reason)>) -> Context {
    let taste = Taste {
        min_relevance: request.min_relevance,
        lambda: request.mmr_lambda,
    };
    let (ranked, left_out) = rank(candidates, &request.query, taste);
    let packed = pack(&ranked, usize::try_from(request.token_budget).unwrap_or(usize::MAX));
    let over_budget = ranked
        .iter()
        .skip(packed.chosen.len())
        .map(|one| (one.candidate.reference.clone(), Reason::Budget));
    let dropped = over_budget
        .chain(beyond)
        .chain(left_out)
        .map(|(reference, reason)| Dropped {
            r#ref: reference,
            reason,
        })
        .collect();
    let entries = packed
        .chosen
        .iter()
        .filter_map(|chosen| ranked.get(chosen.place).map(|one| (chosen, one)))
        .map(|(chosen, one)| Entry {
            r#ref: one.candidate.reference.clone(),
            source: one.candidate.source,
            layer: one.candidate.layer.clone(),
            title: one.candidate.title.clone(),
            depth: chosen.depth,
            tokens: chosen.tokens,
            score: one.score,
        })
        .collect();
    Context {
        context_id,
        content: packed.content,
        total_tokens: packed.tokens,
        encoding: ENCODING.to_owned(),
        entries,
        dropped,
    }
}
