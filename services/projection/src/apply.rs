//! Brings written rows to Qdrant and confirms them.
//!
//! After its commit a writer hands its rows to the [`Applier`] and waits, for a bounded time, until Qdrant has them. While
//! one batch of a tenant is on its way, the next rows of that tenant collect; so concurrent writers share requests, and a
//! single writer waits for nobody. A row that is not applied in time, for whatever reason, is not lost: its outbox row
//! stays, and the [`crate::relay`] applies it later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::shards::{Life, Shard};
use aeterna_tenancy::{Generation, ShardId, shards};

use crate::store::{self, Stamp, Stores};
use crate::truth::{self, Confirmation, Row};

/// Why rows could not be applied now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The truth could not be read or confirmed.
    #[error("the truth cannot be read or confirmed")]
    Truth(#[from] truth::Error),
    /// The store did not take them.
    #[error("shard {shard} did not take the points")]
    Store {
        /// The shard.
        shard: ShardId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// The shard's row could not be read.
    #[error("shard {shard} cannot be looked up")]
    Shard {
        /// The shard.
        shard: ShardId,
        /// Why.
        #[source]
        source: aeterna_tenancy::Error,
    },
    /// The life of the shard that was meant is over: the route of this moment names another.
    #[error("that life of shard {shard} is over")]
    LifeOver {
        /// The shard.
        shard: ShardId,
    },
}

/// Whether a writer's rows are searchable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// All are in Qdrant and confirmed.
    Indexed,
    /// Some are left to the relay.
    Pending,
}

/// A row to apply and the outbox row that stands for it.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The row as it was committed.
    pub row: Row,
    /// Its outbox row.
    pub outbox_id: i64,
}

/// What a look at the outbox has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The shard that the route names; none for a tenant without a route.
    pub shard: Option<ShardId>,
    /// The outbox rows removed.
    pub outbox: Vec<i64>,
}

struct Job {
    since: Instant,
    rows: Vec<Pending>,
    done: oneshot::Sender<Applied>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lane {
    scope: TenantScope,
    shard: Life,
    generation: Generation,
}

/// How long a writer keeps its outbox rows to itself: a request deadline of 5 s twice, and a margin. After it they are the
/// relay's; what still waits here then is dropped, so that nothing lands after the last run of a clean-up.
pub const CLAIM: Duration = Duration::from_secs(12);

/// Most rows of one request: about 1 MB of vectors.
const BATCH: usize = 500;

/// Most rows that wait in a lane; more are left to the relay at once.
const WAITING: usize = 4 * BATCH;

struct Inner {
    pool: PgPool,
    stores: Stores,
    // Each in the life that was asked for last.
    shards: Mutex<HashMap<ShardId, Shard>>,
    // A lane is in the map while a task works on it.
    lanes: Mutex<HashMap<Lane, Vec<Job>>>,
}

/// Applies rows in batches; cloning it shares them.
#[derive(Clone)]
pub struct Applier {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").finish_non_exhaustive()
    }
}

impl Applier {
    /// Makes an applier that reads shards from `pool` and reaches them through `stores`.
    #[must_use]
    pub fn new(pool: PgPool, stores: Stores) -> Self {
        let inner = Inner {
            pool,
            stores,
            shards: Mutex::default(),
            lanes: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Hands committed rows of one tenant over and waits at most `patience` for Qdrant.
    ///
    /// # Cancel safety
    /// The rows are applied even when the future is dropped.
    pub async fn apply(
        &self,
        scope: &TenantScope,
        shard: &Life,
        generation: Generation,
        rows: Vec<Pending>,
        patience: Duration,
    ) -> Applied {
        if rows.is_empty() {
            return Applied::Indexed;
        }
        let lane = Lane {
            scope: scope.clone(),
            shard: shard.clone(),
            generation,
        };
        let (done, applied) = oneshot::channel();
        let since = Instant::now();
        self.enqueue(lane, Job { since, rows, done });
        match tokio::time::timeout(patience, applied).await {
            Ok(Ok(applied)) => applied,
            Ok(Err(_)) | Err(_) => Applied::Pending,
        }
    }

    fn enqueue(&self, lane: Lane, job: Job) {
        let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = lanes.get_mut(&lane) {
            let rows: usize = waiting.iter().map(|job| job.rows.len()).sum();
            if rows + job.rows.len() <= WAITING {
                waiting.push(job);
            }
            return;
        }
        lanes.insert(lane.clone(), vec![job]);
        drop(lanes);
        let applier = self.clone();
        // Ends by itself when the lane is empty; bounded by the number of lanes in use.
        aeterna_kit::tasks::spawn("apply", async move { applier.drain(&lane).await });
    }

    /// Works on a lane until it is empty, then takes it off the map.
    async fn drain(&self, lane: &Lane) {
        while let Some(jobs) = self.take(lane) {
            let rows: Vec<&Pending> = jobs.iter().flat_map(|job| &job.rows).collect();
            let confirmed = match self.apply_batch(lane, &rows).await {
                Ok(confirmed) => confirmed,
                Err(error) => {
                    tracing::debug!(shard = %lane.shard.shard_id, error = %error, "rows are left to the relay");
                    Vec::new()
                }
            };
            for job in jobs {
                let all = job.rows.iter().all(|pending| confirmed.contains(&pending.outbox_id));
                // The writer may have stopped waiting.
                let _ = job.done.send(if all { Applied::Indexed } else { Applied::Pending });
            }
        }
    }

    fn take(&self, lane: &Lane) -> Option<Vec<Job>> {
        let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = lanes.get_mut(lane)?;
        waiting.retain(|job| job.since.elapsed() < CLAIM);
        if waiting.is_empty() {
            lanes.remove(lane);
            return None;
        }
        let mut rows = 0;
        let fitting = waiting
            .iter()
            .take_while(|job| {
                rows += job.rows.len();
                rows <= BATCH
            })
            .count();
        Some(waiting.drain(..fitting.max(1)).collect())
    }

    async fn apply_batch(&self, lane: &Lane, pending: &[&Pending]) -> Result<Vec<i64>, Error> {
        let rows: Vec<Row> = pending.iter().map(|pending| pending.row.clone()).collect();
        let outbox: Vec<(i64, Uuid)> = pending
            .iter()
            .map(|pending| (pending.outbox_id, pending.row.point_id))
            .collect();
        let confirmed = match self.upsert_and_confirm(lane, &rows, &outbox).await {
            // The shard went after a flip: the route of this moment is another.
            Err(
                Error::Store {
                    source: store::Error::MissingCollection { .. },
                    ..
                }
                | Error::LifeOver { .. },
            ) => Vec::new(),
            other => other?,
        };
        if confirmed.len() == outbox.len() {
            return Ok(confirmed);
        }
        // A row or the route has changed since the commit: apply what holds now.
        let left: Vec<(i64, Uuid)> = outbox.into_iter().filter(|(id, _)| !confirmed.contains(id)).collect();
        let again = self.apply_current(&lane.scope, &left).await?;
        Ok(confirmed.into_iter().chain(again.outbox).collect())
    }

    /// Reads rows and route as they are now, applies and confirms them.
    ///
    /// # Errors
    /// [`Error`] when the truth or the store could not be reached; whether the points were applied is then unknown.
    pub async fn apply_current(&self, scope: &TenantScope, outbox: &[(i64, Uuid)]) -> Result<Confirmed, Error> {
        let points: Vec<Uuid> = outbox.iter().map(|(_, point)| *point).collect();
        let Some((shard, generation, rows)) = truth::fetch_for_apply(&self.inner.pool, scope, &points).await? else {
            return Ok(Confirmed {
                shard: None,
                outbox: Vec::new(),
            });
        };
        let lane = Lane {
            scope: scope.clone(),
            shard,
            generation,
        };
        Ok(Confirmed {
            outbox: self.upsert_and_confirm(&lane, &rows, outbox).await?,
            shard: Some(lane.shard.shard_id),
        })
    }

    async fn upsert_and_confirm(&self, lane: &Lane, rows: &[Row], outbox: &[(i64, Uuid)]) -> Result<Vec<i64>, Error> {
        let shard = self.shard(&lane.shard).await?;
        let failed = |source| Error::Store {
            shard: lane.shard.shard_id.clone(),
            source,
        };
        let store = self.inner.stores.at(&shard.endpoint).map_err(failed)?;
        let stamp = Stamp {
            tenant: lane.scope.tenant(),
            generation: lane.generation,
        };
        let refused = match store.upsert(&shard.collection, stamp, rows, REQUEST_DEADLINE).await {
            Ok(()) => Vec::new(),
            Err(store::Error::RefusedPoints { points, reason, .. }) => {
                tracing::error!(shard = %lane.shard.shard_id, points = points.len(), %reason, "the store refuses points");
                metrics::counter!("projection_refused_points_total").increment(1);
                points
            }
            Err(other) => return Err(failed(other)),
        };
        let versions: HashMap<Uuid, i64> = rows
            .iter()
            .filter(|row| !refused.contains(&row.point_id))
            .map(|row| (row.point_id, row.version))
            .collect();
        let done: Vec<Confirmation> = outbox
            .iter()
            .filter_map(|&(outbox_id, point_id)| {
                Some(Confirmation {
                    outbox_id,
                    point_id,
                    version: *versions.get(&point_id)?,
                })
            })
            .collect();
        Ok(truth::confirm(&self.inner.pool, &lane.scope, shard.identity, lane.generation, &done).await?)
    }

    /// Returns a shard in the life that is meant, from memory when it was looked up before.
    ///
    /// # Errors
    /// [`Error::Shard`], [`Error::LifeOver`].
    pub async fn shard(&self, life: &Life) -> Result<Shard, Error> {
        let known = self
            .inner
            .shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&life.shard_id)
            .filter(|known| known.identity == life.identity)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = shards::fetch_shard(&self.inner.pool, &life.shard_id)
            .await
            .map_err(|source| Error::Shard {
                shard: life.shard_id.clone(),
                source,
            })?
            .filter(|found| found.identity == life.identity)
            .ok_or_else(|| Error::LifeOver {
                shard: life.shard_id.clone(),
            })?;
        self.inner
            .shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(life.shard_id.clone(), found.clone());
        Ok(found)
    }

    /// Returns the stores, for searches.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.inner.stores
    }
}
