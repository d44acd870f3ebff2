//! A worker that is stopped as a whole, for longer than its lease, and then goes on.
//!
//! The thread that drives the zombie waits at a point, its heartbeats and its connections with it, as in a process that got
//! SIGSTOP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sync_service::store;
use sync_service::worker::{Context, Ended, LEASE, Point, Probe, drive};

use super::jobs::to_knowledge;
use super::service::{Sync, expect_job};

/// The zombie's lease: long enough that it begins requests, and hardly longer than one may take.
const SHORT: Duration = Duration::from_millis(14_000);

/// A zombie: what says that it stands still, what lets it go on, and what it came to.
struct Zombie {
    stands: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<Ended>>,
}

/// Claims and drives a job in an instance of its own, which stops at the first `point`.
fn stop_at(sync: &Sync, point: Point) -> Zombie {
    let ((standing, stands), (go, going)) = (mpsc::channel(), mpsc::channel());
    let (going, met) = (std::sync::Mutex::new(going), AtomicBool::new(false));
    let probe = Probe::new(move |passing| {
        if passing == point && !met.swap(true, Ordering::SeqCst) {
            let _ = standing.send(());
            if let Ok(going) = going.lock() {
                let _ = going.recv();
            }
        }
        Box::pin(std::future::ready(()))
    });
    let another = sync.another();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let context = Context {
                probe,
                ..another()?.context()
            };
            let claimed = store::claim(&context.pool, SHORT, 2).await?.context("a job")?;
            Ok(drive(&context, claimed).await)
        })
    });
    Zombie { stands, go, thread }
}

/// Lets a worker stop at a point until another one has done its job, and the next job too.
async fn outlive(point: Point) -> Result<()> {
    let sync = Sync::by_hand().await?;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        sync.write("acme", &format!("{name}.md"), "old")?;
    }
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    let Zombie { stands, go, thread } = stop_at(&sync, point);
    let stands = tokio::task::spawn_blocking(move || stands.recv_timeout(Duration::from_secs(20)));
    stands.await?.context("it comes so far")?;
    let is_begun = !sync.knowledge.paths("acme").is_empty();
    ensure!(
        is_begun == (point == Point::Delivered),
        "{:?}",
        sync.knowledge.paths("acme")
    );

    // Its lease runs out by the database's clock, and nobody helps.
    let heir = async {
        loop {
            if let Some(heir) = store::claim(&sync.state.pool, LEASE, 2).await? {
                return anyhow::Ok(heir);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let heir = tokio::time::timeout(Duration::from_secs(60), heir).await??;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        sync.write("acme", &format!("{name}.md"), "new")?;
    }
    drive(&sync.context(), heir).await;
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "succeeded", &json!({"processed": 12}))?;
    let kept = async || -> Result<String> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select row_to_json(i)::text from sync.items i union all select row_to_json(j)::text from sync.jobs j",
        )
        .fetch_all(&sync.memory.ground.root)
        .await?;
        Ok(rows.join("\n"))
    };
    let items = || -> Vec<_> {
        let paths = sync.knowledge.paths("acme");
        paths.iter().map(|path| sync.knowledge.item("acme", path)).collect()
    };
    let before = (kept().await?, items());
    go.send(())?;
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    let ended = ended.map_err(|_| anyhow::anyhow!("the zombie panicked"))??;
    ensure!(ended == Ended::Fenced, "{ended:?}");
    ensure!((kept().await?, items()) == before, "the zombie wrote something");
    let is_new = |item: &Option<super::peer::Item>| item.as_ref().is_some_and(|item| item.body["content"] == "new");
    ensure!(items().len() == 12 && items().iter().all(is_new));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_stood_before_its_requests_asks_for_nothing() -> Result<()> {
    outlive(Point::Intended).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_stood_between_its_requests_overwrites_nothing() -> Result<()> {
    outlive(Point::Delivered).await
}
