//! How fast a move copies, against raw batched upserts of the same points.
//!
//! Ours: the step Copy of a real move, from the claim's first look to the saved end of the step, so with its reads of the
//! truth, its saved cursors and rule R1. Bare: the same points, made beforehand, in requests of as many, each acknowledged
//! (`wait`) before the next is sent, without a guard, into a fresh collection with the same payload indexes. Both go from
//! this process to the same store, which is warm.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aeterna_kit::auth::TenantScope;
use aeterna_projection::store::point::build_point;
use aeterna_projection::store::{Stamp, Store};
use aeterna_projection::truth::{self, Page, Row};
use aeterna_relocator::drive::{Context, drive};
use aeterna_relocator::{Point, Probe};
use aeterna_tenancy::Generation;
use aeterna_tenancy::moves::{self, LEASE, Step};
use aeterna_tenancy::shards::Shard;
use anyhow::{Context as _, Result, ensure};
use qdrant_client::Qdrant;
use qdrant_client::qdrant::{UpdateStatus, UpsertPoints, UpsertPointsBuilder};

use crate::ground::Ground;
use crate::stats::Sample;
use crate::table::Row as Line;

/// Memories of the tenant.
const MEMORIES: u64 = 20_000;

/// Points of a request: a page of the step Copy.
const BATCH: usize = 1_000;

/// Rounds that count; one more, before, warms up.
const ROUNDS: usize = 7;

/// The longest request.
const DEADLINE: Duration = Duration::from_secs(5);

/// Measures the copy rate.
pub async fn measure(ground: &Ground) -> Result<Vec<Line>> {
    let scope = ground.tenant("large-corp").await?;
    ground.fill(&scope, MEMORIES).await?;
    let rows = read_all(ground, &scope).await?;
    let client = Qdrant::from_url(&ground.store_url).skip_compatibility_check().build()?;
    let (mut ours, mut bare, mut guarded) = (Sample::default(), Sample::default(), Sample::default());
    for round in 0..=ROUNDS {
        let raw = time_raw(ground, &client, &scope, &rows, round).await?;
        let alone = time_guarded(ground, &scope, &rows, round).await?;
        let target = ground.shard(&format!("copy-{round}"), 1).await?;
        let (left, _) = ground.place(&scope).await?;
        let moved = time_move(ground, &scope, &target).await?;
        if round > 0 {
            ground.store()?.drop_collection(&left.collection, left.identity).await?;
            ours.push(rate(moved));
            bare.push(rate(raw));
            guarded.push(rate(alone));
        }
    }
    let part = format!("{:.0}/s", guarded.median());
    Ok(vec![
        Line::rate("copy of 20,000 memories, step Copy", ours.median(), bare.median(), 80.0),
        Line::told("  the same rows upserted under rule R1 alone", part, ""),
    ])
}

fn rate(took: Duration) -> f64 {
    u32::try_from(MEMORIES).map_or(0.0, f64::from) / took.as_secs_f64()
}

async fn read_all(ground: &Ground, scope: &TenantScope) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let page = Page {
            tenant: scope.tenant().as_str(),
            after: rows.last().map(|row| row.point_id),
            limit: i64::try_from(BATCH)?,
        };
        let page = truth::read_page(&ground.pool, scope, page).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

fn stamp(scope: &TenantScope) -> Stamp<'_> {
    Stamp {
        tenant: scope.tenant(),
        generation: Generation(1),
    }
}

/// Times raw upserts into a fresh collection.
async fn time_raw(
    ground: &Ground,
    client: &Qdrant,
    scope: &TenantScope,
    rows: &[Row],
    round: usize,
) -> Result<Duration> {
    let target = ground.shard(&format!("raw-{round}"), 1).await?;
    let build = |rows: &[Row]| -> UpsertPoints {
        let points: Vec<_> = rows.iter().map(|row| build_point(row, &stamp(scope))).collect();
        UpsertPointsBuilder::new(&target.collection, points).wait(true).build()
    };
    let requests: Vec<UpsertPoints> = rows.chunks(BATCH).map(build).collect();
    let started = Instant::now();
    for request in requests {
        let status = client.upsert_points(request).await?.result.map(|result| result.status);
        ensure!(
            status == Some(i32::from(UpdateStatus::Completed)),
            "not completed: {status:?}"
        );
    }
    finish(ground.store()?, &target, started).await
}

/// Times the product's own upserts of rows that are in memory already: raw ones and rule R1.
async fn time_guarded(ground: &Ground, scope: &TenantScope, rows: &[Row], round: usize) -> Result<Duration> {
    let target = ground.shard(&format!("guarded-{round}"), 1).await?;
    let store = ground.store()?;
    let started = Instant::now();
    for rows in rows.chunks(BATCH) {
        store.upsert(&target.collection, stamp(scope), rows, DEADLINE).await?;
    }
    finish(store, &target, started).await
}

/// Stops the clock, and takes the collection away.
async fn finish(store: Store, target: &Shard, started: Instant) -> Result<Duration> {
    let took = started.elapsed();
    let state = store.fetch_state(&target.collection).await?;
    // The reserved point is one of them.
    ensure!(state.points > MEMORIES, "only {} points arrived", state.points);
    store.drop_collection(&target.collection, target.identity).await?;
    Ok(took)
}

/// Moves the tenant for real, and times the step Copy.
async fn time_move(ground: &Ground, scope: &TenantScope, target: &Shard) -> Result<Duration> {
    let (probe, watch) = watch_copy();
    let context = Context {
        pool: ground.pool.clone(),
        stores: Arc::clone(&ground.stores),
        probe,
    };
    let recorded = ground.begin_move(scope, target).await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let known = moves::fetch_moves(&ground.pool, scope.tenant(), 1).await?;
        let known = known.into_iter().next().context("the move was recorded")?;
        if known.move_id == recorded.move_id && known.progress.step >= Step::Retain {
            break;
        }
        ensure!(Instant::now() < deadline, "the move is still at {:?}", known.progress);
        match moves::claim(&ground.pool, LEASE).await? {
            Some(claimed) => drop(drive(&context, claimed).await),
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let seen = watch.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(began), Some(ended)) = *seen else {
        anyhow::bail!("the move did not copy");
    };
    Ok(ended.duration_since(began))
}

type Watch = Arc<Mutex<(Option<Instant>, Option<Instant>)>>;

/// A probe that notes when the step Copy begins and when its end is saved.
fn watch_copy() -> (Probe, Watch) {
    let watch = Watch::default();
    let seen = Arc::clone(&watch);
    let probe = Probe::new(move |point| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if point == Point::Begin(Step::Copy) {
            seen.0 = Some(Instant::now());
        } else if point == Point::Saved(Step::Copy) {
            seen.1 = Some(Instant::now());
        }
        Box::pin(std::future::ready(()))
    });
    (probe, watch)
}
