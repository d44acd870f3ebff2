//! Two sides that do the same in turns: as many clients, as many tasks, the same moment of the machine's life.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::stats::Sample;

/// Clients at the same time; each sends its next request when it has the answer to the last one.
pub const CLIENTS: usize = 16;

/// Rounds of each side that count; one more, before, warms up.
const ROUNDS: usize = 5;

/// One of the clients of a side.
pub trait Client<T>: Send + 'static {
    /// Does a task to its end, and looks at the answer.
    fn work(&mut self, task: &T) -> impl Future<Output = Result<()>> + Send;
}

/// What one round of one side took.
#[derive(Debug)]
pub struct Round {
    rate: f64,
    took: Vec<Duration>,
}

/// What all rounds of one side took.
#[derive(Debug, Default)]
pub struct Side {
    /// Tasks a second, a value each round.
    pub rates: Sample,
    /// Milliseconds, a value each task.
    pub latencies: Sample,
}

impl Round {
    /// Returns its latencies in milliseconds, a value each task.
    pub fn latencies(self) -> Sample {
        let mut sample = Sample::default();
        sample.extend(self.took);
        sample
    }
}

impl Side {
    fn add(&mut self, round: Round) {
        self.rates.push(round.rate);
        self.latencies.extend(round.took);
    }
}

/// Does all tasks once, with all clients at the same time.
pub async fn run<T, C>(clients: Vec<C>, tasks: Vec<T>) -> Result<Round>
where
    T: Send + Sync + 'static,
    C: Client<T>,
{
    let count = u32::try_from(tasks.len())?;
    let (tasks, next) = (Arc::new(tasks), Arc::new(AtomicUsize::new(0)));
    let mut running = JoinSet::new();
    let started = Instant::now();
    for mut client in clients {
        let (tasks, next) = (Arc::clone(&tasks), Arc::clone(&next));
        running.spawn(async move {
            let mut took = Vec::new();
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let asked = Instant::now();
                client.work(task).await?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = running.join_next().await {
        took.extend(done??);
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    Ok(Round { rate, took })
}

/// Runs rounds of both sides in turns, in changing order; each is told the number of its round.
pub async fn alternate(
    mut ours: impl AsyncFnMut(usize) -> Result<Round>,
    mut bare: impl AsyncFnMut(usize) -> Result<Round>,
) -> Result<(Side, Side)> {
    let mut sides = (Side::default(), Side::default());
    ours(0).await?;
    bare(0).await?;
    for number in 1..=ROUNDS {
        if number.is_multiple_of(2) {
            sides.0.add(ours(number).await?);
            sides.1.add(bare(number).await?);
        } else {
            sides.1.add(bare(number).await?);
            sides.0.add(ours(number).await?);
        }
    }
    Ok(sides)
}
