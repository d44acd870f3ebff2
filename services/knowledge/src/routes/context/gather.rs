//! Collects what may be worth telling: items from the database, memories from their service, both at once.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::Problem;

use super::assemble::Request;
use crate::access::Rights;
use crate::context::{Candidate, Source};
use crate::item::{Kind, Severity, Status, Stored};
use crate::memories::Hit;
use crate::query::{self, Query};
use crate::state::State;
use crate::store::{self, Search};

/// Items looked at, at most.
const ITEMS: i32 = 40;

/// What was found.
pub(super) struct Gathered {
    /// The candidates, in no order.
    pub candidates: Vec<Candidate>,
    /// Memories were asked for and did not come.
    pub partial: bool,
}

/// Collects candidates.
pub(super) async fn gather(
    state: &State,
    caller: &Caller,
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
            .search(&caller.scope, headers, &request.query, patience)
            .await;
        asked
            .inspect_err(|error| tracing::info!(%error, "a context goes without memories"))
            .ok()
    };
    let (items, memories) = tokio::join!(items(state, caller, request), memories);
    let mut candidates = items.map_err(|error| Problem::database(&error))?;
    let partial = memories.is_none();
    candidates.extend(of_memories(memories.unwrap_or_default()));
    Ok(Gathered { candidates, partial })
}

async fn items(state: &State, caller: &Caller, request: &Request) -> sqlx::Result<Vec<Candidate>> {
    let rights = Rights::of(caller);
    let layers: Vec<String> = request.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
    let query = query::any_word(&request.query);
    let mut scores: HashMap<Uuid, f32> = HashMap::new();
    if query != Query::default() {
        let search = Search {
            query,
            any: true,
            layers: layers.clone(),
            statuses: [Status::Accepted, Status::Proposed]
                .map(|status| status.as_str().to_owned())
                .to_vec(),
            limit: ITEMS,
            ..Search::default()
        };
        let found = store::search(&state.pool, &caller.scope, &rights, &search).await?;
        scores.extend(found.hits.iter().map(|hit| (hit.id, hit.score)));
    }
    let ids: Vec<Uuid> = scores.keys().copied().collect();
    let stored = store::fetch_for_context(&state.pool, &caller.scope, &rights, &ids, &request.pinned, &layers).await?;
    let best = scores.values().copied().fold(f32::MIN_POSITIVE, f32::max);
    Ok(stored
        .into_iter()
        // The database has looked already; a context is the last place to be wrong about it.
        .filter(|one| rights.may_read(&one.author, one.snapshot.attributes.status))
        .map(|one| {
            let relevance = scores.get(&one.id).map_or(0.0, |score| f64::from(score / best));
            let pinned = request.pinned.contains(&one.path);
            of_item(one, relevance, pinned)
        })
        .filter(|candidate| candidate.pinned || request.include.has(candidate.source))
        .collect())
}

fn of_item(stored: Stored, relevance: f64, pinned: bool) -> Candidate {
    let attributes = stored.snapshot.attributes;
    let source = match attributes.kind {
        // A policy holds once it is accepted; before, it is a text like others.
        Kind::Policy if attributes.status == Status::Accepted => Source::Policy,
        Kind::Note => Source::Note,
        Kind::Policy | Kind::Adr | Kind::Pattern | Kind::Spec | Kind::Hindsight => Source::Knowledge,
    };
    Candidate {
        reference: format!("knowledge:{}@{}", stored.path, stored.version),
        source,
        layer: attributes.layer.as_str().to_owned(),
        title: Some(attributes.title),
        summary: attributes.summary,
        text: stored.snapshot.body,
        relevance,
        severity: attributes.severity,
        pinned,
    }
}

fn of_memories(hits: Vec<Hit>) -> Vec<Candidate> {
    let best = hits.iter().map(|hit| hit.score).fold(f64::MIN_POSITIVE, f64::max);
    hits.into_iter()
        .map(|hit| Candidate {
            reference: format!("memory:{}@{}", hit.memory.id, hit.memory.version),
            source: Source::Memory,
            layer: hit.memory.layer,
            title: None,
            summary: None,
            text: hit.memory.content,
            relevance: hit.score / best,
            severity: Severity::Info,
            pinned: false,
        })
        .collect()
}
