//! Workers die and come back: what is delivered in the end is what an undisturbed run delivers.
//!
//! A crash is the drop of the driving future at one of its points ([`Point`]); the lease runs out, and the next claim goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sync_service::job::{Event, Progress};
use sync_service::store::{self, Batch, Became, Claimed, Ending, Settled};
use sync_service::worker::{Context, Ended, LEASE, POINTS, Point, Probe, drive};
use tokio::sync::Notify;

use super::jobs::to_knowledge;
use super::service::{Sync, directory, expect_job};
use crate::api::service::Answer;

/// How long a walk may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Drives a claim until it passes `point` for the `nth` time, and drops everything there. Returns whether it came so far.
pub async fn crash_at(context: &Context, claimed: Claimed, point: Point, nth: u64) -> Result<bool> {
    let (reached, passed) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let probe = {
        let reached = Arc::clone(&reached);
        Probe::new(move |passing| {
            let (reached, passed) = (Arc::clone(&reached), Arc::clone(&passed));
            Box::pin(async move {
                if passing == point && passed.fetch_add(1, Ordering::SeqCst) >= nth {
                    reached.notify_one();
                    std::future::pending::<()>().await;
                }
            })
        })
    };
    let context = Context {
        probe,
        ..context.clone()
    };
    tokio::select! {
        _ = drive(&context, claimed) => Ok(false),
        () = reached.notified() => Ok(true),
        () = tokio::time::sleep(PATIENCE) => anyhow::bail!("{point:?} is neither reached nor passed by"),
    }
}

/// A directory in its first form: what the first run finds.
fn write_first(sync: &Sync, tenant: &str) -> Result<()> {
    for n in 0..45 {
        sync.write(tenant, &format!("{n:02}.md"), format!("page {n}"))?;
    }
    sync.write(tenant, "bad.md", b"\xff")
}

/// The same in its second form: changed, new and missing files.
fn write_second(sync: &Sync, tenant: &str) -> Result<()> {
    for n in 0..8 {
        sync.write(tenant, &format!("{n:02}.md"), format!("page {n}, changed"))?;
    }
    for n in 37..45 {
        sync.remove(tenant, &format!("{n:02}.md"))?;
    }
    sync.write(tenant, "new.md", "new")
}

/// How often a run passes each point.
pub type Passes = HashMap<Point, u64>;

/// Where runs crash: the first and the second one at which point, and how often they passed it before.
pub type Crashes<'a> = [&'a [(Point, u64)]; 2];

/// What a run came to.
pub struct Ran {
    pub job: Answer,
    /// The crashes that it came to.
    pub crashes: u64,
    /// What its last claim passed.
    pub passes: Passes,
}

/// Runs a job over a directory through crashes to its end.
async fn run_through(sync: &Sync, tenant: &str, crashes: &[(Point, u64)]) -> Result<Ran> {
    run_over(sync, tenant, &directory(""), crashes).await
}

/// Runs a job through crashes to its end.
pub async fn run_over(sync: &Sync, tenant: &str, body: &Value, crashes: &[(Point, u64)]) -> Result<Ran> {
    let id = sync.start_job(tenant, body).await?.id()?;
    let mut reached = 0;
    for (point, nth) in crashes {
        if !crash_at(&sync.context(), sync.claim().await?, *point, *nth).await? {
            break;
        }
        reached += 1;
        sync.let_time_pass().await?;
    }
    let passes = Arc::<Mutex<Passes>>::default();
    let counted = Arc::clone(&passes);
    let context = Context {
        probe: Probe::new(move |point| {
            let mut passes = counted.lock().unwrap_or_else(PoisonError::into_inner);
            *passes.entry(point).or_default() += 1;
            Box::pin(std::future::ready(()))
        }),
        ..sync.context()
    };
    if let Some(claimed) = store::claim(&sync.state.pool, LEASE, 2).await? {
        let ended = drive(&context, claimed).await;
        ensure!(matches!(ended, Ended::Left(_)), "{ended:?}");
    }
    let passes = passes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ran {
        job: sync.end_of(tenant, id).await?,
        crashes: reached,
        passes,
    })
}

/// Makes crashes of a run that passes the points so often: the first of them is reached in any case.
fn crashes_of(passes: &Passes, so_many: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(Point, u64)>> + use<> {
    let points: Vec<(Point, u64)> = POINTS
        .iter()
        .filter_map(|point| Some((*point, *passes.get(point)?)))
        .collect();
    let crash = (prop::sample::select(points), any::<prop::sample::Index>()).prop_map(|((point, passes), nth)| {
        let passes = usize::try_from(passes).unwrap_or(usize::MAX);
        (point, u64::try_from(nth.index(passes)).unwrap_or_default())
    });
    prop::collection::vec(crash, so_many)
}

/// Has as many pairs of runs as there are cases disturbed by crashes at random points, so many in each; `calm` tells what
/// undisturbed ones pass. `run` gets a tenant of its own and the crashes of both runs, and tells how many it came to, and what
/// is not as it should be.
pub fn at_random(
    cases: u32,
    so_many: std::ops::Range<usize>,
    calm: [&Passes; 2],
    run: &impl AsyncFn(&str, Crashes<'_>) -> Result<u64>,
) -> Result<()> {
    let reached = AtomicU64::new(0);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let (handle, tenants) = (tokio::runtime::Handle::current(), AtomicU64::new(0));
    let outcome = tokio::task::block_in_place(|| {
        let crashes = calm.map(|passes| crashes_of(passes, so_many.clone()));
        runner.run(&crashes, |[in_first, in_second]| {
            let tenant = format!("t{}", tenants.fetch_add(1, Ordering::SeqCst));
            let came_to = handle
                .block_on(run(&tenant, [&in_first, &in_second]))
                .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
            reached.fetch_add(came_to, Ordering::SeqCst);
            Ok(())
        })
    });
    outcome.map_err(|error| anyhow::anyhow!("{error}"))?;
    let reached = reached.into_inner();
    ensure!(
        reached >= 2 * u64::from(cases),
        "only {reached} crashes in {cases} cases"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_random_points_the_target_is_that_of_an_undisturbed_run() -> Result<()> {
    let sync = Sync::by_hand().await?;
    write_first(&sync, "calm")?;
    let first = run_through(&sync, "calm", &[]).await?;
    write_second(&sync, "calm")?;
    let second = run_through(&sync, "calm", &[]).await?;
    expect_job(
        &second.job,
        "partial",
        &json!({"added": 1, "updated": 8, "deleted": 8, "unchanged": 29, "rejected": 1}),
    )?;
    let calm = sync.memories("calm").await?;

    let passes = [&first.passes, &second.passes];
    ensure!(passes.iter().all(|passes| passes.len() == POINTS.len()), "{passes:?}");
    at_random(12, 1..6, passes, &async |tenant: &str, [in_first, in_second]| {
        write_first(&sync, tenant)?;
        let one = run_through(&sync, tenant, in_first).await?;
        ensure!(
            one.job.body["result"] == first.job.body["result"],
            "the first run: {}",
            one.job.text
        );
        write_second(&sync, tenant)?;
        let two = run_through(&sync, tenant, in_second).await?;
        ensure!(
            two.job.body["result"] == second.job.body["result"],
            "the second run: {}",
            two.job.text
        );
        for count in ["processed", "added", "updated", "deleted", "unchanged", "rejected"] {
            let (found, expected) = (&two.job.body["progress"][count], &second.job.body["progress"][count]);
            ensure!(found == expected, "{count}: {found} instead of {expected}");
        }
        let memories = sync.memories(tenant).await?;
        ensure!(memories == calm, "{memories:?}");
        Ok(one.crashes + two.crashes)
    })
}

#[tokio::test]
async fn a_source_that_changes_between_crash_and_resume_leaves_nothing_behind() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "old")?;
    sync.start_job("acme", &directory("")).await?.expect(202)?;
    // The memory is made, and nobody has written that down.
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::BatchDelivered, 0).await?);
    ensure!(sync.memories("acme").await? == ["old"]);
    sync.write("acme", "a.md", "new")?;
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    ensure!(sync.memories("acme").await? == ["new"]);

    // The same, and the file is gone afterwards.
    sync.write("acme", "b.md", "short-lived")?;
    sync.start_job("acme", &directory("")).await?.expect(202)?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::BatchDelivered, 0).await?);
    ensure!(sync.memories("acme").await? == ["new", "short-lived"]);
    sync.remove("acme", "b.md")?;
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    ensure!(sync.memories("acme").await? == ["new"]);
    Ok(())
}

#[tokio::test]
async fn what_a_crash_made_unknown_is_delivered_again_when_the_source_goes_back() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for body in [directory(""), to_knowledge("")] {
        let there = async || -> Result<Vec<String>> {
            if body["target"]["type"] == "memory" {
                return sync.memories("acme").await;
            }
            let item = sync.knowledge.item("acme", "a.md").context("it is there")?;
            Ok(vec![item.body["content"].as_str().unwrap_or_default().to_owned()])
        };
        sync.write("acme", "a.md", "first")?;
        sync.start_job("acme", &body).await?.expect(202)?;
        drive(&sync.context(), sync.claim().await?).await;
        // The second edition takes the place of the first, and nobody writes that down. Then the file is none.
        sync.write("acme", "a.md", "second")?;
        sync.start_job("acme", &body).await?.expect(202)?;
        ensure!(crash_at(&sync.context(), sync.claim().await?, Point::BatchDelivered, 0).await?);
        ensure!(there().await? == ["second"]);
        sync.write("acme", "a.md", b"\xff")?;
        sync.let_time_pass().await?;
        drive(&sync.context(), sync.claim().await?).await;
        sync.write("acme", "a.md", "first")?;
        sync.start_job("acme", &body).await?.expect(202)?;
        drive(&sync.context(), sync.claim().await?).await;
        ensure!(there().await? == ["first"], "{:?}", there().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_zombie_commits_nothing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let id = sync.start_job("acme", &directory("")).await?.id()?;
    let zombie = sync.claim().await?;
    sync.let_time_pass().await?;
    let heir = sync.claim().await?;
    ensure!(heir.fence.job == zombie.fence.job && heir.fence.attempt == zombie.fence.attempt + 1);

    let (pool, fence) = (&sync.state.pool, &zombie.fence);
    let settled = [Settled {
        external_id: "ghost".to_owned(),
        became: Became::Delivered {
            content_hash: vec![1],
            target_id: "ghost".to_owned(),
            target_version: None,
            source_version: None,
        },
    }];
    let progress = Progress {
        processed: 99,
        ..Progress::default()
    };
    let batch = Batch {
        settled: &settled,
        progress: &progress,
        cursor: Some(&serde_json::Value::Null),
    };
    let ending = Ending {
        event: Event::Succeeded,
        error: None,
        digest: Some("ghost".to_owned()),
        state: Some(json!("ghost")),
    };
    let fenced = |outcome: Result<(), store::Error>| matches!(outcome, Err(store::Error::Fenced));
    ensure!(fenced(store::intend(pool, fence, &[("ghost", "ghost")]).await));
    ensure!(fenced(store::commit(pool, fence, batch).await));
    ensure!(fenced(store::heartbeat(pool, fence, LEASE).await.map(|_| ())));
    ensure!(fenced(store::finish(pool, fence, ending).await.map(|_| ())));
    // Driven as a whole it delivers nothing either: its first intent is refused.
    ensure!(drive(&sync.context(), zombie).await == Ended::Fenced);
    ensure!(sync.memories("acme").await?.is_empty());
    let ghosts: i64 = sqlx::query_scalar("select count(*) from sync.items")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(ghosts == 0);

    drive(&sync.context(), heir).await;
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "succeeded", &json!({"processed": 1, "added": 1}))
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let id = sync.start_job("acme", &directory("")).await?.id()?;
    let path = format!("/api/v1/sync/status/{id}");
    for _ in 0..20 {
        crash_at(&sync.context(), sync.claim().await?, Point::PageRead, 0).await?;
        let job = sync.get("acme", &path).await?;
        if job.body["status"] == "failed" {
            ensure!(job.body["error"]["code"] == "WORKERS_LOST", "{}", job.text);
            return Ok(());
        }
        sync.let_time_pass().await?;
    }
    let job = sync.get("acme", &path).await?;
    Err(anyhow::anyhow!("still tried: {}", job.text)).context("twenty crashes")
}
