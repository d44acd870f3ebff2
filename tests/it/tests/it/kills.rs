//! A relocator that is killed at every point it passes, under writes and deletes; the oracle is the client's own log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aeterna_projection::truth::{self, Kind, WriteItem};
use aeterna_relocator::drive::Context;
use aeterna_relocator::{Point, Probe, cleaner};
use aeterna_tenancy::cleanups;
use aeterna_tenancy::moves::Step;
use anyhow::{Context as _, Result, ensure};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::ground::{Ground, MODEL, PATIENCE, Tenant, create};

/// Every point between two effects.
const POINTS: [Point; 20] = [
    Point::Begin(Step::Copy),
    Point::PageApplied,
    Point::Worked(Step::Copy),
    Point::Saved(Step::Copy),
    Point::Begin(Step::CatchUp),
    Point::Worked(Step::CatchUp),
    Point::Saved(Step::CatchUp),
    Point::Begin(Step::Verify),
    Point::Worked(Step::Verify),
    Point::Saved(Step::Verify),
    Point::Begin(Step::Await),
    Point::Worked(Step::Await),
    Point::Saved(Step::Await),
    Point::Begin(Step::Cutover),
    Point::FenceClosed,
    Point::DeltaApplied,
    Point::Flipped,
    Point::Worked(Step::Cutover),
    Point::Begin(Step::Retain),
    Point::Worked(Step::Retain),
];

/// What a client knows to be acknowledged.
#[derive(Default)]
struct Log {
    live: BTreeMap<Uuid, Uuid>,
    deleted: BTreeSet<Uuid>,
}

/// Between a client and who watches it.
#[derive(Default)]
struct Signals {
    stop: AtomicBool,
    rounds: AtomicUsize,
}

/// Creates and deletes until told to stop; keeps the client's log.
async fn work(ground: &Ground, tenant: &Tenant, mut log: Log, signals: &Signals) -> Result<Log> {
    for n in 0.. {
        if signals.stop.load(Ordering::SeqCst) {
            break;
        }
        signals.rounds.fetch_add(1, Ordering::SeqCst);
        let item = create(Uuid::now_v7(), &format!("write {n}"));
        let written = ground.write(tenant, vec![item]).await?;
        log.live
            .extend(written.iter().filter_map(|done| Some((done.id, done.point_id?))));
        if n % 3 == 0
            && let Some((id, point)) = log.live.pop_first()
        {
            truth::write(
                &ground.pool,
                &tenant.scope,
                MODEL,
                &[WriteItem::bare(Kind::Delete, id)],
                PATIENCE,
            )
            .await?;
            log.deleted.insert(point);
        }
    }
    Ok(log)
}

async fn survive(point: Point) -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 300).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    let signals = Arc::new(Signals::default());
    let client = {
        let (ground, tenant, signals) = (Arc::clone(&ground), tenant.clone(), Arc::clone(&signals));
        tokio::spawn(async move { work(&ground, &tenant, Log::default(), &signals).await })
    };
    ground
        .wait_until("the client is at work", async || {
            Ok(signals.rounds.load(Ordering::SeqCst) > 5)
        })
        .await?;
    ground.crash_at(point).await?;
    ground.expire_leases().await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Clean).await?;
    signals.stop.store(true, Ordering::SeqCst);
    let log = client.await??;
    ensure!(!log.live.is_empty(), "the client wrote nothing");

    let before: BTreeSet<Uuid> = live_points(&ground).await?;
    let lost: Vec<_> = log.live.values().filter(|point| !before.contains(point)).collect();
    let back: Vec<_> = log.deleted.intersection(&before).collect();
    ensure!(lost.is_empty() && back.is_empty(), "lost {lost:?}, came back {back:?}");
    ground.assert_exact(&tenant).await
}

async fn live_points(ground: &Ground) -> Result<BTreeSet<Uuid>> {
    let points: Vec<Uuid> = sqlx::query_scalar("select point_id from memory.memories where state = 'live'")
        .fetch_all(&ground.root)
        .await?;
    Ok(points.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relocator_killed_at_any_point_loses_nothing_and_brings_nothing_back() -> Result<()> {
    for point in POINTS {
        survive(point)
            .await
            .map_err(|error| error.context(format!("killed at {point:?}")))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaner_killed_between_its_delete_and_its_record_deletes_again() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 30).await?;
    let (home, _) = ground.place(&tenant).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Clean).await?;
    sqlx::query("update routing.cleanups set not_before = now()")
        .execute(&ground.root)
        .await?;
    let deleted = Arc::new(Notify::new());
    let probe = {
        let deleted = Arc::clone(&deleted);
        Probe::new(move |_| {
            deleted.notify_one();
            Box::pin(std::future::pending())
        })
    };
    let context = Context {
        probe,
        ..ground.context.clone()
    };
    let due = cleanups::fetch_due(&ground.pool).await?;
    let cleanup = due.into_iter().next().context("the source is in the ledger")?;
    let killed = tokio::spawn(async move { cleaner::clean(&context, &cleanup).await });
    tokio::time::timeout(PATIENCE, deleted.notified()).await?;
    killed.abort();
    ground.run_cleanups().await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Done).await?;
    let left = ground
        .qdrant()
        .count(&home.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
        .await?;
    ensure!(left == 0, "{left} points are left");
    ground.assert_exact(&tenant).await
}
