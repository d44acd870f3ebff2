//! What happens while the fence is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aeterna_projection::truth::{self, Kind, WriteItem};
use aeterna_relocator::drive::{Context, drive};
use aeterna_relocator::{Point, Probe};
use aeterna_tenancy::moves::{self, Step};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use memory_service::writer::{self, Writer};

use crate::ground::{Ground, MODEL, PATIENCE, Tenant, create};

/// What a writer may wait at most: far above the hold budget, for slow machines, and below a request's deadline of 5 s, for
/// which a fence without a budget would stay closed.
const LONGEST_WRITE: Duration = Duration::from_secs(4);

/// Writes items, and again when the fence is closed for longer than a writer waits.
async fn write_until_taken(ground: &Ground, tenant: &Tenant, items: &[WriteItem]) -> Result<()> {
    loop {
        match truth::write(&ground.pool, &tenant.scope, MODEL, items, PATIENCE).await {
            Ok(_) => return Ok(()),
            Err(truth::Error::Fenced { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

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
            write_until_taken(&ground, &tenant, &items).await?;
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
    let stalled = AtomicBool::new(false);
    let probe = {
        let (ground, tenant, collection) = (Arc::clone(&ground), tenant.clone(), away.collection.clone());
        Probe::new(move |point| {
            let (ground, tenant) = (Arc::clone(&ground), tenant.clone());
            if point == Point::FenceClosed && !stalled.swap(true, Ordering::SeqCst) {
                // One upsert is slower than any deadline.
                let upsert = Target::from(Op::Upsert).of(&collection);
                ground.faults().stall_next(upsert, Duration::from_secs(20));
            }
            Box::pin(async move {
                if point == Point::Begin(Step::Cutover) {
                    // The last delta of each try has a row.
                    write_until_taken(&ground, &tenant, &[create(Uuid::now_v7(), "late")])
                        .await
                        .expect("a write before the fence closes");
                }
            })
        })
    };
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
    write_until_taken(&ground, &tenant, &[create(Uuid::now_v7(), "meanwhile")]).await?;
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

/// Calls `act` each time that a cutover begins.
fn at_each_cutover(act: impl Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync + 'static) -> Probe {
    Probe::new(move |point| {
        if point == Point::Begin(Step::Cutover) {
            act()
        } else {
            Box::pin(async {})
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_somebody_elses_old_transaction_hides_nothing_from_the_last_delta() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    let ids = ground.fill(&tenant, 1_000).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    // Holds xmin back for the whole move: a delta with an xmin bound shows nothing that is written from here on.
    let mut foreign = ground.pool.begin().await?;
    sqlx::query("select pg_current_xact_id()")
        .execute(&mut *foreign)
        .await?;
    let ids = Arc::new(tokio::sync::Mutex::new(ids));
    let probe = {
        let (ground, tenant) = (Arc::clone(&ground), tenant.clone());
        // Before each try, so that also the one that fits has rows that only the last delta brings.
        at_each_cutover(move || {
            let (ground, tenant, ids) = (Arc::clone(&ground), tenant.clone(), Arc::clone(&ids));
            Box::pin(async move {
                let mut items: Vec<WriteItem> = (0..40).map(|n| create(Uuid::now_v7(), &format!("late {n}"))).collect();
                let mut ids = ids.lock().await;
                items.extend(ids.drain(..10).map(|gone| WriteItem::bare(Kind::Delete, gone)));
                write_until_taken(&ground, &tenant, &items)
                    .await
                    .expect("a write before the fence closes");
            })
        })
    };
    let context = Context {
        probe,
        ..ground.context.clone()
    };
    ground.drive_until(&context, &tenant, id, Step::Retain).await?;
    foreign.rollback().await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_a_delta_is_not_made_longer_by_somebody_elses_old_transaction() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 100).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    let mut foreign = ground.pool.begin().await?;
    sqlx::query("select pg_current_xact_id()")
        .execute(&mut *foreign)
        .await?;
    ground.crash_at(Point::Begin(Step::CatchUp)).await?;
    ground.fill(&tenant, 700).await?;
    ground.expire_leases().await?;
    let moved = ground.drive_until(&ground.context, &tenant, id, Step::Retain).await?;
    foreign.rollback().await?;
    // Each change was applied once, by the first catch-up, and no later one had it again.
    ensure!(moved.progress.caught_up == 700, "{:?}", moved.progress);
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_two_hundred_writers_at_a_closed_fence_do_not_hold_other_tenants() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    let writer = Writer::new(ground.pool.clone());
    let mut fence = ground.root.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('acme', 0))")
        .execute(&mut *fence)
        .await?;
    let blocked: Vec<_> = (0..200)
        .map(|n| {
            let (writer, scope) = (writer.clone(), acme.scope.clone());
            tokio::spawn(async move {
                let item = create(Uuid::now_v7(), &format!("blocked {n}"));
                writer.write(&scope, MODEL, item).await
            })
        })
        .collect();
    for n in 0..50 {
        let item = create(Uuid::now_v7(), &format!("unhindered {n}"));
        writer.write(&globex.scope, MODEL, item).await?;
    }
    fence.rollback().await?;
    let mut taken = 0;
    for task in blocked {
        match task.await? {
            Ok(_) => taken += 1,
            // Told to come back.
            Err(writer::Error::Truth(error)) if matches!(*error, truth::Error::Fenced { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let rows: i64 = sqlx::query_scalar("select count(*) from memory.memories where tenant_id = 'acme'")
        .fetch_one(&ground.root)
        .await?;
    ensure!(rows == taken, "{taken} were acknowledged, {rows} are there");
    ground.assert_exact(&acme).await?;
    ground.assert_exact(&globex).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_resumes_at_the_cutover_after_hours_verifies_again() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 50).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    ground.crash_at(Point::Begin(Step::Cutover)).await?;
    sqlx::query("update routing.moves set verified_at = now() - interval '3 hours'")
        .execute(&ground.root)
        .await?;
    let lost: Uuid = sqlx::query_scalar("select point_id from memory.memories limit 1")
        .fetch_one(&ground.root)
        .await?;
    ground.delete_points(&away.collection, &[lost]).await?;
    ground.expire_leases().await?;
    let moved = ground.drive_until(&ground.context, &tenant, id, Step::Retain).await?;
    ensure!(moved.progress.repaired == 1, "{:?}", moved.progress);
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
