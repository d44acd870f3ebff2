//! Collects what may be worth telling: items from the database, memories from their service, both at once.
//!
//! What is related to a good match is worth something as well: what the graph says is added to what the words say.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use uuid::Uuid;

use aeterna_kit::problem::Problem;

use super::assemble::Request;
use crate::by::By;
use crate::context::admit::{Found, TOLD, admit};
use crate::context::rank::{Reason, bound};
use crate::context::{Candidate, Source, either};
use crate::graph::Age;
use crate::graph::one::Graph;
use crate::item::{Attributes, Kind, Severity, Status, Stored};
use crate::memories::Hit;
use crate::query::{self, Query};
use crate::state::State;
use crate::store::{self, Outline, Search};

/// Items looked at, at most.
const ITEMS: i32 = 40;

/// Neighbours of what was found that are looked at beside it, at most.
const NEIGHBOURS: i32 = 20;

/// Bytes of texts that are ordered, at most: four times what the largest budget of tokens can tell.
const BYTES: usize = 4 << 20;

/// How long the graph may take: what is gained by it is worth no more.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where an item's text is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The item's row.
    pub id: Uuid,
    version: i64,
    bytes: u32,
}

/// What was found.
#[derive(Default)]
pub(super) struct Gathered {
    /// The candidates, in no order; the texts of items come with [`fill`].
    pub candidates: Vec<Candidate>,
    /// Those that are items, by their references.
    pub rows: HashMap<String, Row>,
    /// What is not told for another reason than its rank.
    pub beyond: Vec<(String, Reason)>,
    /// Memories were asked for and did not come.
    pub partial: bool,
    /// The graph was asked, and what is related to what was found is among the candidates.
    pub linked: bool,
}

/// Collects candidates.
pub(super) async fn gather(
    state: &State,
    by: &By,
    headers: &HeaderMap,
    request: &Request,
) -> Result<Gathered, Problem> {
    let patience = Duration::from_millis(u64::from(request.timeout_ms));
    let memories = async {
        if !request.include.memories {
            return Some(Vec::new());
        }
        let asked = state
            .memories
            .search(&by.scope, headers, &request.query, patience)
            .await;
        asked
            .inspect_err(|error| tracing::info!(%error, "a context goes without memories"))
            .ok()
    };
    let (items, memories) = tokio::join!(items(state, by, request), memories);
    let (mut gathered, partial) = (items?, memories.is_none());
    gathered.candidates.extend(of_memories(memories.unwrap_or_default()));
    gathered.partial = partial;
    let rows = &gathered.rows;
    let length = |one: &Candidate| {
        let row = rows.get(&one.reference);
        row.map_or(one.text.len(), |row| usize::try_from(row.bytes).unwrap_or(usize::MAX))
    };
    let (kept, beyond) = bound(gathered.candidates, BYTES, length);
    gathered.candidates = kept;
    gathered.beyond.extend(beyond);
    Ok(gathered)
}

/// Fetches the texts of items.
pub(super) async fn fill(
    state: &State,
    by: &By,
    mut candidates: Vec<Candidate>,
    rows: &HashMap<String, Row>,
) -> Result<Vec<Candidate>, Problem> {
    let items = candidates.iter().filter_map(|one| rows.get(&one.reference));
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = items.map(|row| (row.id, row.version)).unzip();
    let texts = store::fetch_texts(&state.pool, &by.scope, &ids, &versions).await;
    let mut texts = texts.map_err(|error| Problem::database(&error))?;
    candidates.retain_mut(|one| match rows.get(&one.reference) {
        // Versions stay; where one does not, the tenant has gone meanwhile.
        Some(row) => texts.remove(&row.id).map(|text| one.text = text).is_some(),
        None => true,
    });
    Ok(candidates)
}

async fn items(state: &State, by: &By, request: &Request) -> Result<Gathered, store::Error> {
    let layers: Vec<String> = request.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
    let found = by_words(state, by, &request.query, &layers).await?;
    let near = by_graph(state, by, &found).await;
    let linked = near.is_some();
    let mut relevance = found.clone();
    for (id, score) in near.unwrap_or_default() {
        let own = relevance.entry(id).or_default();
        *own = either(*own, score);
    }
    let ids: Vec<Uuid> = relevance.keys().copied().collect();
    let outlines = store::fetch_for_context(&state.pool, &by.scope, &by.rights, &ids, &request.pinned, &layers).await?;
    let blocking = outlines.iter().filter(|one| must_be_followed(&one.stored)).count();
    let mut gathered = Gathered {
        linked,
        ..Gathered::default()
    };
    let mut pinned: Vec<&str> = request.pinned.iter().map(String::as_str).collect();
    for Outline { stored, bytes } in outlines {
        if !may_see(by, &stored) {
            continue;
        }
        let (id, version, path) = (stored.id, stored.version, stored.path.clone());
        let how = Found {
            relevance: relevance.get(&id).copied().unwrap_or_default(),
            by_graph_alone: relevance.contains_key(&id) && !found.contains_key(&id),
            pinned: request.pinned.contains(&path),
        };
        let Some(candidate) = admit(stored, &by.rights, &request.layers, how) else {
            continue;
        };
        pinned.retain(|name| *name != path);
        if candidate.pinned || request.include.has(candidate.source) {
            let row = Row { id, version, bytes };
            gathered.rows.insert(candidate.reference.clone(), row);
            gathered.candidates.push(candidate);
        }
    }
    if request.include.policies && store::may_be_more(blocking) {
        gathered.beyond = beyond(state, by, &layers).await?;
        // Unless the question has led to it.
        gathered
            .beyond
            .retain(|(reference, _)| !gathered.rows.contains_key(reference));
    }
    let absent = |path: &str| (format!("knowledge:{path}"), Reason::Absent);
    gathered.beyond.extend(pinned.into_iter().map(absent));
    Ok(gathered)
}

fn may_see(by: &By, one: &Stored) -> bool {
    let Attributes {
        kind, layer, status, ..
    } = one.snapshot.attributes;
    by.may_find(&one.path, [kind.as_str(), layer.as_str(), status.as_str()])
}

fn must_be_followed(one: &Stored) -> bool {
    let Attributes {
        kind, severity, status, ..
    } = one.snapshot.attributes;
    (kind, severity, status) == (Kind::Policy, Severity::Block, Status::Accepted)
}

/// Policies that must be followed and are too many to be told; whoever follows the rest shall know of them.
async fn beyond(state: &State, by: &By, layers: &[String]) -> Result<Vec<(String, Reason)>, store::Error> {
    let mut found = store::fetch_beyond(&state.pool, &by.scope, layers).await?;
    found.retain(|one| {
        let what = [Kind::Policy.as_str(), &one.layer, Status::Accepted.as_str()];
        by.may_find(&one.path, what)
    });
    let name = |one: store::Beyond| (format!("knowledge:{}@{}", one.path, one.version), Reason::Budget);
    Ok(found.into_iter().map(name).collect())
}

/// Searches items by the words of the question; the best has relevance 1.
async fn by_words(state: &State, by: &By, question: &str, layers: &[String]) -> sqlx::Result<HashMap<Uuid, f64>> {
    let query = query::any_word(question);
    if query == Query::default() {
        return Ok(HashMap::new());
    }
    let search = Search {
        query,
        any: true,
        layers: layers.to_vec(),
        statuses: TOLD.map(|status| status.as_str().to_owned()).to_vec(),
        limit: ITEMS,
        ..Search::default()
    };
    let mut found = store::search(&state.pool, &by.scope, &by.rights, &search).await?;
    // How well something hidden matches is not told by the scores of the others.
    found
        .hits
        .retain(|hit| by.may_find(&hit.path, [&hit.kind, &hit.layer, &hit.status]));
    let best = found.hits.iter().map(|hit| hit.score).fold(f32::MIN_POSITIVE, f32::max);
    Ok(found
        .hits
        .iter()
        .map(|hit| (hit.id, f64::from(hit.score / best)))
        .collect())
}

/// Asks the graph what is close to what was found.
async fn by_graph(state: &State, by: &By, found: &HashMap<Uuid, f64>) -> Option<Vec<(Uuid, f64)>> {
    let mut seeds: Vec<(Uuid, f64)> = found.iter().map(|(id, score)| (*id, *score)).collect();
    seeds.sort_by_key(|(id, _)| *id);
    let reader = store::reader(&by.rights).map(str::to_owned);
    let question = move |graph: &Graph| graph.spread(&seeds, reader.as_deref(), NEIGHBOURS);
    state
        .graphs
        .ask(&state.pool, &by.scope, Age::Recent, PATIENCE, question)
        .await
}

fn of_memories(hits: Vec<Hit>) -> Vec<Candidate> {
    hits.into_iter()
        .map(|hit| Candidate {
            relevance: hit.relevance(),
            reference: format!("memory:{}@{}", hit.memory.id, hit.memory.version),
            source: Source::Memory,
            layer: hit.memory.layer,
            title: None,
            summary: None,
            text: hit.memory.content,
            severity: Severity::Info,
            pinned: false,
        })
        .collect()
}
