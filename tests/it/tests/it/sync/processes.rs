//! Workers that are processes of their own, and end with SIGKILL. Such a process is this binary once more, so it is never
//! another build than the test.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sync_service::store;
use sync_service::worker::{LEASE, drive};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::service::{Sync, assemble, directory, expect_job};

/// Files of the directory: so many that the job is not over when whoever kills its worker is late.
const FILES: u16 = 1_200;

/// The process that the test below starts, stops and starts again. It reads its command line, and ends with whoever started it.
#[test]
#[ignore = "a part of the test below, which starts it"]
fn a_worker_that_is_a_process() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.is_empty() {
        // Nobody started it but somebody who runs all tests.
        return Ok(());
    }
    let line: Vec<String> = serde_json::from_str(&line)?;
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        assemble(&line)?.spawn_workers();
        std::future::pending::<Result<()>>().await
    })
}

/// Starts a worker beside a service that has none.
async fn start_worker(sync: &Sync) -> Result<Child> {
    let mut line = sync.line().to_vec();
    let at_once = line.iter().position(|word| word == "--sync-jobs-at-once");
    let at_once = line
        .get_mut(at_once.context("it has no worker")? + 1)
        .context("a number")?;
    "4".clone_into(at_once);
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "sync::processes::a_worker_that_is_a_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let told = child.stdin.as_mut().context("a pipe")?;
    told.write_all(format!("{}\n", json!(line)).as_bytes()).await?;
    Ok(child)
}

/// Waits until a job has looked at so many items since its `attempt`.
async fn has_processed(sync: &Sync, job: Uuid, attempt: i32, so_many: i64) -> Result<()> {
    let select =
        "select attempt > $2 and coalesce((progress->>'processed')::bigint, 0) >= $3 from sync.jobs where id = $1";
    let waiting = async {
        loop {
            let select = sqlx::query_scalar(select).bind(job).bind(attempt).bind(so_many);
            if select.fetch_one(&sync.memory.ground.root).await? {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .context("no worker comes so far")?
}

#[tokio::test(flavor = "multi_thread")]
async fn after_processes_are_killed_at_random_times_the_target_is_that_of_an_undisturbed_run() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for tenant in ["calm", "acme"] {
        for n in 0..FILES {
            sync.write(tenant, &format!("{n:04}.md"), format!("page {n}"))?;
        }
    }
    let calm = sync.start_job("calm", &directory("")).await?.id()?;
    drive(&sync.context(), sync.claim().await?).await;
    let calm = sync.end_of("calm", calm).await?;
    expect_job(&calm, "succeeded", &json!({"added": FILES}))?;

    let job = sync.start_job("acme", &directory("")).await?.id()?;
    for nth in 0..3_i32 {
        let mut worker = start_worker(&sync).await?;
        // Anywhere in its part of the way: the job is never over before the last one.
        let at = i64::from(nth) * 40 + i64::from(Uuid::new_v4().as_bytes()[0] % 32);
        has_processed(&sync, job, nth, at).await?;
        worker.kill().await?;
        let left: (String, i32) = sqlx::query_as("select status, attempt from sync.jobs where id = $1")
            .bind(job)
            .fetch_one(&sync.memory.ground.root)
            .await?;
        ensure!(left == ("running".to_owned(), nth + 1), "{left:?}");
        sync.let_time_pass().await?;
    }
    let claimed = store::claim(&sync.state.pool, LEASE, 2).await?.context("it is left")?;
    drive(&sync.context(), claimed).await;
    let over = sync.end_of("acme", job).await?;
    expect_job(&over, "succeeded", &json!({"processed": FILES, "added": FILES}))?;
    ensure!(over.body["result"] == calm.body["result"], "{}", over.text);
    ensure!(sync.memories("acme").await? == sync.memories("calm").await?);
    Ok(())
}
