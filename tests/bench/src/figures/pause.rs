//! How long a cutover holds writers back, over many moves of one tenant there and back, under 200 writes a second.
//!
//! The pause is what a move says of itself (`routing.moves.pause_us`): from the granted exclusive lock to the acknowledged
//! commit. What a client sees is the latency of its writes, which has everything else in it as well. Relocator and memory
//! service are processes of their own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aeterna_kit::auth::TenantScope;
use aeterna_load::client::Client;
use aeterna_tenancy::moves::{self, Move, Step};
use aeterna_tenancy::shards::Shard;
use aeterna_testkit::free_port;
use anyhow::{Context as _, Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::served;
use crate::ground::Ground;
use crate::process::{Process, until};
use crate::stats::Sample;
use crate::table::Row;

/// Moves.
const MOVES: usize = 30;

/// Memories of the tenant before the writes begin.
const MEMORIES: u64 = 2_000;

/// Between two writes: 200 a second.
const TICK: Duration = Duration::from_millis(5);

/// The longest move.
const LIMIT: Duration = Duration::from_secs(30);

/// Measures the write pause.
pub async fn measure(ground: &Ground) -> Result<Vec<Row>> {
    let served = served::start(ground).await?;
    let port = free_port()?;
    let variables = [
        ("DATABASE_URL", ground.database_url.as_str()),
        ("PORT", &port.to_string()),
    ];
    let mut relocator = Process::start(&ground.dir(), "aeterna-relocator", &[], &variables)?;
    relocator.wait_for_port(port).await?;
    let scope = ground.tenant("mover").await?;
    ground.fill(&scope, MEMORIES).await?;
    let (home, _) = ground.place(&scope).await?;
    let places = [home, ground.shard("dedicated-mover", 1).await?];
    // Once there and back to warm up: connections, plans, caches.
    let (stop, stopped) = watch::channel(false);
    let writing = tokio::spawn(write_on(Client::new(&served.url(), "mover")?, stopped));
    let mut ended = Vec::new();
    for number in 0..MOVES + 2 {
        let target = places.get((number + 1) % places.len()).context("two places")?;
        ended.push(relocate(ground, &scope, target).await?);
    }
    stop.send(true)?;
    let writes = writing.await??;
    Ok(report(ended.get(2..).unwrap_or_default(), &writes))
}

fn report(ended: &[Move], writes: &Writes) -> Vec<Row> {
    let mut pauses = Sample::default();
    pauses.extend(ended.iter().filter_map(|moved| {
        let microseconds = moved.progress.pause_us.and_then(|pause| u64::try_from(pause).ok());
        microseconds.map(Duration::from_micros)
    }));
    let tries: i32 = ended.iter().map(|moved| moved.progress.cutover_tries).sum();
    let name = format!(
        "write pause at cutover, {} moves under {:.0} writes/s",
        pauses.len(),
        writes.rate
    );
    vec![
        Row::limit(format!("{name}, p99"), pauses.percentile(99), 100.0, "ms"),
        Row::told(
            "  p50 / slowest",
            format!("{:.1} / {:.1} ms", pauses.median(), pauses.percentile(100)),
            "",
        ),
        Row::told("  cutovers tried for them", tries.to_string(), ""),
        Row::told(
            "  the clients' writes meanwhile, p50 / p95 / p99",
            writes.took.summary(),
            "",
        ),
        Row::told(
            "  slowest of them",
            format!("{:.0} ms of {}", writes.took.percentile(100), writes.took.len()),
            "",
        ),
        Row::told(
            "  repeated because the service said so",
            writes.repeated.to_string(),
            "",
        ),
    ]
}

/// Moves the tenant, and waits until its route is switched.
async fn relocate(ground: &Ground, scope: &TenantScope, target: &Shard) -> Result<Move> {
    let recorded = ground.begin_move(scope, target).await?;
    let mut last = recorded.clone();
    until("the move has switched the route", LIMIT, async || {
        let known = moves::fetch_moves(&ground.pool, scope.tenant(), 1).await?;
        last = known.into_iter().next().context("the move was recorded")?;
        Ok(last.progress.step >= Step::Retain && last.progress.pause_us.is_some())
    })
    .await
    .with_context(|| format!("{:?}", recorded.move_id))?;
    ensure!(last.move_id == recorded.move_id, "another move of the tenant");
    Ok(last)
}

/// What the clients saw.
#[derive(Debug)]
struct Writes {
    took: Sample,
    rate: f64,
    repeated: u32,
}

/// Writes at a steady rate, however long each write takes, until told to stop.
async fn write_on(client: Client, stop: watch::Receiver<bool>) -> Result<Writes> {
    let seen: Arc<Mutex<(Sample, u32)>> = Arc::default();
    let mut running = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    let started = Instant::now();
    let mut count = 0_u32;
    while !*stop.borrow() {
        tick.tick().await;
        count += 1;
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        running.spawn(async move {
            let asked = Instant::now();
            let repeats = client
                .create(Uuid::now_v7(), &format!("observation {count} of a running agent"))
                .await?;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.0.extend([asked.elapsed()]);
            seen.1 += repeats;
            anyhow::Ok(())
        });
        while let Some(done) = running.try_join_next() {
            done??;
        }
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    while let Some(done) = running.join_next().await {
        done??;
    }
    let (took, repeated) = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Writes { took, rate, repeated })
}
