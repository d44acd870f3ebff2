//! Writes, deletes, reads and searches at a steady rate, and the check of what was acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::Client;
use crate::ledger::{Fate, Ledger, Verdict};

/// One of so many writes is a deletion.
const DELETE_EVERY: u64 = 5;

/// Checks at the same time.
const CHECKS: usize = 64;

/// Memories that are searched for in a check; the others are only read.
const SEARCHED: usize = 500;

/// How long a check waits for what the relay still has to bring to the vector store, after an outage.
const SETTLED: Duration = Duration::from_secs(45);

/// What was measured, in milliseconds, sorted.
#[derive(Debug, Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1_000.0);
    }

    /// Writes count, median, 99th percentile and maximum.
    #[must_use]
    pub fn summary(&mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        let at = |part: usize| {
            self.0
                .get((self.0.len() * part / 100).min(self.0.len().saturating_sub(1)))
        };
        let show = |value: Option<&f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
        format!(
            "{} in all, p50 {}, p99 {}, slowest {}",
            self.0.len(),
            show(at(50)),
            show(at(99)),
            show(self.0.last())
        )
    }
}

/// What is stored under an id.
fn content(id: Uuid) -> String {
    format!("observation of a running agent: {id}")
}

/// The traffic of one tenant.
#[derive(Debug, Clone)]
pub struct Traffic {
    client: Client,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Ledger,
    writes: Latencies,
    reads: Latencies,
    acknowledged: u64,
    repeated: u64,
    failed: u64,
    degraded: u64,
    slowest: Duration,
}

impl Shared {
    /// Notes an answer; one without a hit is a failure as soon as there is something to find.
    fn read(&mut self, answer: &Value, took: Duration) {
        let full = |field| {
            answer
                .pointer(field)
                .and_then(Value::as_array)
                .is_some_and(|list| !list.is_empty())
        };
        self.reads.add(took);
        self.failed += u64::from(!full("/items") && self.acknowledged > 0);
        self.degraded += u64::from(full("/degraded"));
    }
}

impl Traffic {
    /// Prepares traffic through a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            shared: Arc::default(),
        }
    }

    /// Writes `rate` times a second and searches with `readers` at once, until told to stop.
    ///
    /// # Errors
    /// When a write is refused, or its outcome cannot be learned.
    pub async fn run(&self, rate: u32, readers: usize, stop: watch::Receiver<bool>) -> Result<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..readers {
            let (traffic, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { traffic.read_on(&stop).await });
        }
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / f64::from(rate.max(1))));
        let mut number: u64 = 0;
        while !*stop.borrow() {
            tick.tick().await;
            number += 1;
            let traffic = self.clone();
            tasks.spawn(async move { traffic.write(number).await });
            while let Some(done) = tasks.try_join_next() {
                done??;
            }
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn write(&self, number: u64) -> Result<()> {
        let victim = if number.is_multiple_of(DELETE_EVERY) {
            self.take_live()
        } else {
            None
        };
        let started = Instant::now();
        let repeats = match victim {
            Some(id) => self.client.delete(id).await?,
            None => {
                let id = Uuid::now_v7();
                let repeats = self.client.create(id, &content(id)).await?;
                self.lock().ledger.created(id);
                repeats
            }
        };
        let took = started.elapsed();
        let mut shared = self.lock();
        if let Some(id) = victim {
            shared.ledger.deleted(id);
        }
        shared.acknowledged += 1;
        shared.repeated += u64::from(repeats);
        shared.slowest = shared.slowest.max(took);
        shared.writes.add(took);
        Ok(())
    }

    /// Searches for a memory until it is found, or the time is over. A pod that ends closes connections that are at rest, and
    /// whoever sends at that moment has no answer: it is asked again, as any client would.
    async fn is_found(&self, id: Uuid, until: Instant) -> Result<bool> {
        loop {
            match self.client.finds(id, &content(id)).await {
                Ok(true) => return Ok(true),
                Ok(false) if Instant::now() > until => return Ok(false),
                Err(error) if Instant::now() > until => return Err(error),
                Ok(false) | Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn take_live(&self) -> Option<Uuid> {
        let mut shared = self.lock();
        let id = shared.ledger.any_live()?;
        shared.ledger.deleting(id);
        Some(id)
    }

    async fn read_on(&self, stop: &watch::Receiver<bool>) -> Result<()> {
        while !*stop.borrow() {
            match self.client.search("a running agent", 5).await {
                Ok((answer, took)) => self.lock().read(&answer, took),
                Err(_) => self.lock().failed += 1,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how it goes, and begins the slowest write anew.
    #[must_use]
    pub fn line(&self) -> String {
        let mut shared = self.lock();
        let slowest = std::mem::take(&mut shared.slowest).as_millis();
        format!(
            "{} writes acknowledged, {} repeated, {} searches failed, slowest write {slowest} ms",
            shared.acknowledged, shared.repeated, shared.failed
        )
    }

    /// Sums up latencies of writes and searches.
    #[must_use]
    pub fn latencies(&self) -> (String, String) {
        let mut shared = self.lock();
        (shared.writes.summary(), shared.reads.summary())
    }

    /// Returns how many writes were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.lock().acknowledged
    }

    /// Tells how many searches failed or found nothing, and how many went without vectors.
    #[must_use]
    pub fn failed_searches(&self) -> String {
        let shared = self.lock();
        format!("{} failed, {} degraded", shared.failed, shared.degraded)
    }

    /// Asks the service for everything that it has acknowledged, and searches for a part of it: a read comes from the
    /// truth, only a search shows that the projection has it too.
    ///
    /// # Errors
    /// When an answer cannot be had.
    pub async fn check(&self) -> Result<Verdict> {
        let entries = self.lock().ledger.entries();
        let every = entries.len().div_ceil(SEARCHED).max(1);
        let until = Instant::now() + SETTLED;
        let mut verdict = Verdict::default();
        let mut asked = futures::stream::iter(entries.into_iter().enumerate())
            .map(|(place, (id, fate))| async move {
                let there = self.client.exists(id).await?;
                let searched = there && fate == Fate::Live && place.is_multiple_of(every);
                anyhow::Ok((fate, there && (!searched || self.is_found(id, until).await?)))
            })
            .buffer_unordered(CHECKS);
        while let Some(answer) = asked.next().await {
            let (fate, is_there) = answer?;
            verdict.count(fate, is_there);
        }
        Ok(verdict)
    }
}
