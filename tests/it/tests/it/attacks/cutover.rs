//! What happens while the fence is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aeterna_relocator::drive::{Context, drive};
use aeterna_relocator::{Point, Probe};
use aeterna_tenancy::moves::cutover::HOLD_BUDGET;
use aeterna_tenancy::moves::{self, Step};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use crate::ground::{Ground, PATIENCE, Tenant, create};

/// What a writer may wait at most: the hold budget, the server's own reaction, and this machine's load.
const LONGEST_WRITE: Duration = HOLD_BUDGET.saturating_mul(4);

/// Acts once, when the point is reached.
fn once(point: Point, act: impl Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync + 'static) -> Probe {
    let done = Arc::new(AtomicBool::new(false));
    let act = Arc::new(act);
    Probe::new(move |reached| {
        let (done, act) = (Arc::clone(&done), Arc::clone(&act));
        Box::pin(async move {
            if reached == point && !done.swap(true, Ordering::SeqCst) {
                act().await;
            }
        })
    })
}

/// Writes until told to stop; returns how many were acknowledged and the slowest one.
fn write_on(
    ground: &Arc<Ground>,
    tenant: &Tenant,
) -> (Arc<AtomicBool>, tokio::task::JoinHandle<Result<(usize, Duration)>>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (ground, tenant, stopped) = (Arc::clone(ground), tenant.clone(), Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let (mut count, mut slowest) = (0, Duration::ZERO);
        while !stopped.load(Ordering::SeqCst) {
            let items = [create(Uuid::now_v7(), &format!("write {count}"))];
            let started = Instant::now();
            aeterna_projection::truth::write(&ground.pool, &tenant.scope, crate::ground::MODEL, &items, PATIENCE)
                .await?;
            slowest = slowest.max(started.elapsed());
            count += 1;
        }
        Ok((count, slowest))
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_a_store_that_stalls_under_the_fence_costs_one_try_and_no_write() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 200).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    let faults = ground.faults().clone();
    let collection = away.collection.clone();
    let probe = once(Point::FenceClosed, move || {
        // One upsert is slower than the whole budget.
        faults.stall_next(Target::from(Op::Upsert).of(&collection), Duration::from_secs(2));
        Box::pin(async {})
    });
    let context = Context {
        probe,
        ..ground.context.clone()
    };
    let (stop, writer) = write_on(&ground, &tenant);
    let moved = ground.drive_until(&context, &tenant, id, Step::Retain).await?;
    stop.store(true, Ordering::SeqCst);
    let (count, slowest) = writer.await??;
    ensure!(
        moved.progress.cutover_tries >= 2,
        "the first try fitted: {:?}",
        moved.progress
    );
    ensure!(
        count > 0 && slowest < LONGEST_WRITE,
        "a write of {count} took {slowest:?}"
    );
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_a_relocator_that_stops_under_the_fence_is_ended_by_the_server() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 50).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    let (closed, seen) = tokio::sync::watch::channel(false);
    let probe = once(Point::DeltaApplied, move || {
        closed.send_replace(true);
        Box::pin(std::future::pending())
    });
    let context = Context {
        probe,
        ..ground.context.clone()
    };
    let claimed = moves::claim(&ground.pool, moves::LEASE)
        .await?
        .context("the move is claimable")?;
    let stopped = tokio::spawn(async move { drive(&context, claimed).await });
    let mut seen = seen;
    tokio::time::timeout(PATIENCE, seen.wait_for(|closed| *closed)).await??;

    // The fence is closed and nobody is at home.
    let started = Instant::now();
    ground.fill(&tenant, 1).await?;
    ensure!(
        started.elapsed() < LONGEST_WRITE,
        "a write waited {:?}",
        started.elapsed()
    );
    ensure!(
        ground.fetch_move(&tenant, id).await?.progress.step == Step::Cutover,
        "nothing was switched"
    );
    stopped.abort();
    ground.expire_leases().await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Retain).await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_somebody_elses_old_transaction_hides_nothing_from_the_last_delta() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let ids = ground.fill(&tenant, 100).await?;
    let away = ground.dedicated(&tenant).await?;
    // Holds xmin back for the whole move: the xmin-bounded tail shows nothing that is written from here on.
    let mut foreign = ground.pool.begin().await?;
    sqlx::query("select pg_current_xact_id()")
        .execute(&mut *foreign)
        .await?;
    ground.fill(&tenant, 300).await?;
    for gone in ids.iter().take(30) {
        ground.delete(&tenant, *gone).await?;
    }
    ground.relocate(&tenant, &away).await?;
    foreign.rollback().await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_under_writes_loses_none_and_brings_none_back() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    let ids = ground.fill(&tenant, 2_000).await?;
    let away = ground.dedicated(&tenant).await?;
    let (home, _) = ground.place(&tenant).await?;
    let (stop, writer) = write_on(&ground, &tenant);
    let deleting = {
        let (ground, tenant) = (Arc::clone(&ground), tenant.clone());
        tokio::spawn(async move {
            for gone in ids.iter().step_by(4) {
                ground.delete(&tenant, *gone).await?;
            }
            anyhow::Ok(ids.len().div_ceil(4))
        })
    };
    ground.relocate(&tenant, &away).await?;
    ground.relocate(&tenant, &home).await?;
    stop.store(true, Ordering::SeqCst);
    let (created, _) = writer.await??;
    let deleted = deleting.await??;
    ground.assert_exact(&tenant).await?;
    let live: i64 = sqlx::query_scalar("select count(*) from memory.memories where state = 'live'")
        .fetch_one(&ground.root)
        .await?;
    ensure!(
        usize::try_from(live)? == 2_000 + created - deleted,
        "{live} live, {created} made, {deleted} deleted"
    );
    Ok(())
}
