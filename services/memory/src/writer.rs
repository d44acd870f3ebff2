//! Writes that share a commit.
//!
//! While one transaction of a tenant runs, the tenant's next writes collect and go together in the next one. A tenant so
//! uses one connection at a time, however many of its requests wait, and a waiting tenant cannot take the pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;
use tokio::sync::oneshot;

use aeterna_kit::auth::TenantScope;
use aeterna_projection::apply::CLAIM;
use aeterna_projection::truth::{self, WriteItem, Written};

/// Most items of one transaction.
const BATCH: usize = 128;

/// Most items of a tenant that wait; more are told to come back.
const WAITING: usize = 1_024;

/// Why a write failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The transaction failed, for this item or for one beside it.
    #[error(transparent)]
    Truth(#[from] Arc<truth::Error>),
    /// Too many writes of the tenant wait.
    #[error("too many writes of the tenant wait")]
    Full,
    /// The task that carried the write has ended.
    #[error("the write was given up")]
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lane {
    scope: TenantScope,
    model: String,
}

struct Job {
    item: WriteItem,
    done: oneshot::Sender<Result<Written, Error>>,
}

/// Writes memories; cloning it shares its lanes.
#[derive(Clone)]
pub struct Writer {
    pool: PgPool,
    lanes: Arc<Mutex<HashMap<Lane, Vec<Job>>>>,
}

impl Writer {
    /// Makes a writer.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            lanes: Arc::default(),
        }
    }

    /// Writes one item, embedded with `model`.
    ///
    /// # Cancel safety
    /// The item is written even when the future is dropped.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn write(&self, scope: &TenantScope, model: &str, item: WriteItem) -> Result<Written, Error> {
        let (done, written) = oneshot::channel();
        self.enqueue(
            Lane {
                scope: scope.clone(),
                model: model.to_owned(),
            },
            Job { item, done },
        )?;
        written.await.unwrap_or(Err(Error::Lost))
    }

    fn enqueue(&self, lane: Lane, job: Job) -> Result<(), Error> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = lanes.get_mut(&lane) {
            if waiting.len() >= WAITING {
                return Err(Error::Full);
            }
            waiting.push(job);
            return Ok(());
        }
        lanes.insert(lane.clone(), vec![job]);
        drop(lanes);
        let writer = self.clone();
        aeterna_kit::tasks::spawn("write", async move { writer.drain(&lane).await });
        Ok(())
    }

    async fn drain(&self, lane: &Lane) {
        while let Some(jobs) = self.take(lane) {
            let (items, done): (Vec<WriteItem>, Vec<_>) = jobs.into_iter().map(|job| (job.item, job.done)).unzip();
            match truth::write(&self.pool, &lane.scope, &lane.model, &items, CLAIM).await {
                Ok(written) => {
                    for (done, written) in done.into_iter().zip(written) {
                        // Whoever waited may be gone.
                        let _ = done.send(Ok(written));
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for done in done {
                        let _ = done.send(Err(Error::Truth(Arc::clone(&error))));
                    }
                }
            }
        }
    }

    fn take(&self, lane: &Lane) -> Option<Vec<Job>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = lanes.get_mut(lane)?;
        if waiting.is_empty() {
            lanes.remove(lane);
            return None;
        }
        let count = waiting.len().min(BATCH);
        Some(waiting.drain(..count).collect())
    }
}
