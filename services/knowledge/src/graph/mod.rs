//! Who is related to whom: the graph of links, citations, successions and common use, one of each tenant.
//!
//! A graph is a database in memory, built from what one tenant's transaction reads under row-level security, and found by that
//! tenant's name alone: there is no place where two tenants' items lie together. It follows PostgreSQL by the number of the
//! tenant's head: what has changed since a number is read and taken over. A graph that fails is thrown away and built again,
//! and one that cannot be built is left alone for a while; a graph that cannot be had costs its answer and nothing else, so
//! every question may be answered by nothing.

pub mod engine;
pub mod one;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use sqlx::PgPool;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::{Instant, timeout};

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_kit::tasks;

use self::engine::Engine;
use self::one::Graph;
use crate::store;

/// Graphs that are kept, and for how long nobody may ask them. Of most tenants one is built again within milliseconds. So many
/// of the largest are half of the memory of a pod, 4 GiB.
const KEPT: u64 = (2 << 30) / engine::LIMIT;
const IDLE: Duration = Duration::from_secs(900);

/// How old a graph may be for who does not need what was written this moment.
const RECENT: Duration = Duration::from_secs(5);

/// How long a graph that could not be built is not tried again: what was too large is too large a moment later as well.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// How new a graph must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It knows all that was committed before the question.
    Now,
    /// It knows what was committed some seconds ago.
    Recent,
}

/// The graphs of this process; a clone is the same graphs.
#[derive(Clone)]
pub struct Graphs {
    engine: Option<Arc<Engine>>,
    tenants: Cache<TenantId, Arc<Slot>>,
}

impl std::fmt::Debug for Graphs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.engine.is_some() {
            "Graphs(duckdb)"
        } else {
            "Graphs(none)"
        })
    }
}

/// A tenant's place. Who brings its graph up to date holds `turn`; who asks looks into `graph` and waits for nobody.
#[derive(Default)]
struct Slot {
    graph: Mutex<Option<Graph>>,
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// What is known of a graph by whoever has the turn.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Turn {
    /// What it knows, if it is there.
    known: Option<Known>,
    /// When it could not be built.
    failed: Option<Instant>,
}

/// What a graph knows: the state of which number, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    head: i64,
    at: Instant,
}

/// What is to be done for a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The graph is new enough.
    Nothing,
    /// It is read what has changed.
    Refresh,
    /// It is left alone.
    Rest,
}

impl Turn {
    fn due(self, age: Age, now: Instant) -> Due {
        let younger = |at: Instant, than: Duration| now.saturating_duration_since(at) < than;
        if self.failed.is_some_and(|at| younger(at, LEFT_ALONE)) {
            return Due::Rest;
        }
        match self.known {
            Some(known) if age == Age::Recent && younger(known.at, RECENT) => Due::Nothing,
            _ => Due::Refresh,
        }
    }
}

/// Why a graph is not up to date.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error("the work was lost")]
    Lost(#[from] tokio::task::JoinError),
}

impl Slot {
    fn graph(&self) -> Option<Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, graph: Option<Graph>) {
        *self.graph.lock().unwrap_or_else(PoisonError::into_inner) = graph;
    }
}

impl Graphs {
    /// Loads the library; without it no question has an answer.
    #[must_use]
    pub fn load(library: &str) -> Self {
        let engine = Engine::load(library)
            .inspect_err(|error| tracing::warn!(%error, "there is no graph: relations are read without it"))
            .ok();
        let tenants = Cache::builder().max_capacity(KEPT).time_to_idle(IDLE).build();
        Self {
            engine: engine.map(Arc::new),
            tenants,
        }
    }

    /// Asks a tenant's graph, on a thread that may work. None is an answer: there is no graph, or not in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        pool: &PgPool,
        scope: &TenantScope,
        age: Age,
        patience: Duration,
        question: impl Fn(&Graph) -> Result<T, engine::Error> + Clone + Send + 'static,
    ) -> Option<T> {
        let answered = async {
            // A graph that is broken is built anew, once.
            for _ in 0..2 {
                let graph = self.bring(pool, scope, age, patience).await?;
                let question = question.clone();
                match tokio::task::spawn_blocking(move || question(&graph)).await {
                    Ok(Ok(answer)) => return Some(answer),
                    Ok(Err(error)) => tracing::warn!(%error, "a graph is broken, and built anew"),
                    Err(error) => tracing::error!(%error, "a question to a graph was lost"),
                }
                self.tenants.invalidate(scope.tenant()).await;
            }
            None
        };
        // Twice: a build that takes all of the patience leaves an older graph the rest.
        timeout(patience * 2, answered).await.ok().flatten()
    }

    /// Returns a tenant's graph, as new as it must be, or as it can be had in time.
    async fn bring(&self, pool: &PgPool, scope: &TenantScope, age: Age, patience: Duration) -> Option<Graph> {
        let engine = self.engine.clone()?;
        let slot = self
            .tenants
            .get_with(scope.tenant().clone(), async { Arc::default() })
            .await;
        let turn = match age {
            // Whoever waits for its turn waits here: when it has lost its patience, nothing of it is left.
            Age::Now => timeout(patience, Arc::clone(&slot.turn).lock_owned()).await.ok()?,
            Age::Recent => match Arc::clone(&slot.turn).try_lock_owned() {
                Ok(turn) => turn,
                // Another is at it.
                Err(_) => return slot.graph(),
            },
        };
        match turn.due(age, Instant::now()) {
            Due::Nothing => return slot.graph(),
            Due::Rest => return None,
            Due::Refresh => {}
        }
        let (pool, scope, place) = (pool.clone(), scope.clone(), slot.clone());
        let (sender, done) = oneshot::channel();
        // A task of its own: it comes to its end also when nobody waits any more.
        tasks::spawn("graph", async move {
            let refreshed = refresh(&engine, &place, turn, &pool, &scope).await;
            let refreshed = refreshed.inspect_err(|error| tracing::warn!(%error, "a graph is not up to date"));
            // Nobody may be waiting.
            let _ = sender.send(refreshed.is_ok());
        });
        let is_new = matches!(timeout(patience, done).await, Ok(Ok(true)));
        match age {
            Age::Now if !is_new => None,
            Age::Now | Age::Recent => slot.graph(),
        }
    }
}

/// Brings a graph up to date.
async fn refresh(
    engine: &Arc<Engine>,
    slot: &Slot,
    mut turn: OwnedMutexGuard<Turn>,
    pool: &PgPool,
    scope: &TenantScope,
) -> Result<(), Error> {
    let at = Instant::now();
    let mut followed = follow(engine, slot.graph(), pool, scope, turn.known.map(|known| known.head)).await;
    if turn.known.is_some() && matches!(followed, Err(Error::Engine(_) | Error::Lost(_))) {
        // It is broken: what it knew is read once more.
        followed = follow(engine, None, pool, scope, None).await;
    }
    match followed {
        Ok((head, graph)) => {
            slot.set(Some(graph));
            *turn = Turn {
                known: Some(Known { head, at }),
                failed: None,
            };
            Ok(())
        }
        // As old as it is, it is whole.
        Err(error @ Error::Store(_)) => Err(error),
        Err(error) => {
            slot.set(None);
            *turn = Turn {
                known: None,
                failed: Some(Instant::now()),
            };
            Err(error)
        }
    }
}

/// Leads a graph from a number of the tenant's head to the present one; without a graph, from nothing.
async fn follow(
    engine: &Arc<Engine>,
    graph: Option<Graph>,
    pool: &PgPool,
    scope: &TenantScope,
    since: Option<i64>,
) -> Result<(i64, Graph), Error> {
    let known = graph.zip(since);
    let changes = store::changes(pool, scope, known.as_ref().map_or(-1, |(_, since)| *since)).await?;
    let head = changes.head;
    let graph = match known {
        Some((graph, since)) if since == head => graph,
        other => {
            let engine = engine.clone();
            let built = tokio::task::spawn_blocking(move || {
                let graph = other.map_or_else(|| Graph::create(&engine), |(graph, _)| Ok(graph))?;
                graph.apply(&changes).map(|()| graph)
            });
            built.await??
        }
    };
    Ok((head, graph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_that_could_not_be_built_is_left_alone_for_a_while() {
        let now = Instant::now();
        let (soon, later) = (now + LEFT_ALONE / 2, now + LEFT_ALONE);
        let failed = Turn {
            known: None,
            failed: Some(now),
        };
        for age in [Age::Now, Age::Recent] {
            assert_eq!(
                (failed.due(age, soon), failed.due(age, later)),
                (Due::Rest, Due::Refresh)
            );
            assert_eq!(Turn::default().due(age, now), Due::Refresh);
        }
        let known = Turn {
            known: Some(Known { head: 1, at: now }),
            failed: None,
        };
        assert_eq!(known.due(Age::Now, now), Due::Refresh);
        assert_eq!(known.due(Age::Recent, now + RECENT / 2), Due::Nothing);
        assert_eq!(known.due(Age::Recent, now + RECENT), Due::Refresh);
    }

    #[tokio::test]
    async fn without_the_library_every_question_is_answered_by_nothing() {
        let graphs = Graphs::load("/no/such/library.so");
        let pool = PgPool::connect_lazy("postgres://127.0.0.1:1/none").expect("a URL");
        let scope = TenantScope::for_worker(TenantId::parse("acme").expect("a tenant"));
        let answer = graphs
            .ask(&pool, &scope, Age::Now, Duration::from_secs(1), |_| Ok(1))
            .await;
        assert_eq!(answer, None);
        assert_eq!(format!("{graphs:?}"), "Graphs(none)");
    }
}
