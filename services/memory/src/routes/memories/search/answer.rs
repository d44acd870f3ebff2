//! How a search is answered.
//!
//! Qdrant names candidates by rule R5; one SQL query hydrates them under row-level security, applies every predicate again
//! and returns the route. A route other than the one used means that a move was completed in between: once more, on the
//! new one. Without Qdrant the answer is by words, and says so.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;
use aeterna_projection::store::{Hit, Search};

use super::{Explanation, Item, Mode, Request};
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

/// A search that is being answered.
pub(super) struct Asked<'a> {
    pub state: &'a State,
    pub scope: &'a TenantScope,
    pub request: &'a Request,
    pub predicates: Predicates,
    pub judge: &'a Judge,
}

/// What Qdrant answered.
enum Candidates {
    /// On this route.
    Hits(Vec<Hit>),
    /// Not at all.
    Away,
}

impl Asked<'_> {
    /// Answers it; the second list says what had to be done without.
    pub async fn answer(&self) -> Result<(Vec<Item>, Vec<&'static str>), Problem> {
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
