//! Stores that go away and come back while a service is written and read.
//!
//! Eight callers write and read what they have written, without a pause. PostgreSQL, and Redis where it is used, are killed
//! under them and come back. Whatever happens, an answer is what was asked for, or 503 with a time to come back; and what was acknowledged is there.

use std::cell::{Cell, RefCell};

use aeterna_testkit::{Postgres, Redis};
use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::service::Answer;
use crate::governance::bodies::constraint;
use crate::governance::service::{Service as Governance, of_acme};
use crate::ground::{Ground, PATIENCE};
use crate::knowledge::service::{ADMIN, Service as Knowledge};
use crate::sync::service::{Sync, directory};

/// Callers at the same time.
const CALLERS: usize = 8;

/// What each phase waits for.
const ENOUGH: usize = 40;

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    next: Cell<u64>,
    acknowledged: RefCell<Vec<String>>,
    away: Cell<usize>,
    over: Cell<bool>,
}

impl Seen {
    async fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            ensure!(Instant::now() < deadline, "{what}: not in time");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.acknowledged.borrow().len()
    }
}

/// Looks at an answer: good, or away for a while and told so.
fn judge(seen: &Seen, answer: &Answer, good: u16) -> Result<bool> {
    if answer.status == good {
        return Ok(true);
    }
    answer.expect_problem(503, "UNAVAILABLE")?;
    ensure!(
        answer.headers.contains_key("retry-after"),
        "no Retry-After: {}",
        answer.text
    );
    seen.away.set(seen.away.get() + 1);
    Ok(false)
}

/// Kills the stores under callers; `write` makes the nth thing, `read` reads what a name from its answer names. Returns the
/// names of what was acknowledged.
async fn weather(
    postgres: &mut Postgres,
    mut redis: Option<&mut Redis>,
    write: (u16, impl AsyncFn(u64) -> Result<Answer>),
    name: impl Fn(u64, &Value) -> Option<String>,
    read: impl AsyncFn(&str) -> Result<Answer>,
) -> Result<Vec<String>> {
    let seen = Seen::default();
    let call = async || {
        while !seen.over.get() {
            let n = seen.next.replace(seen.next.get() + 1);
            let written = write.1(n).await?;
            if !judge(&seen, &written, write.0)? {
                continue;
            }
            let named = name(n, &written.body).context("an answer names nothing")?;
            judge(&seen, &read(&named).await?, 200)?;
            seen.acknowledged.borrow_mut().push(named);
        }
        anyhow::Ok(())
    };
    let storm = async {
        seen.wait("the first writes", |seen| seen.count() >= ENOUGH).await?;
        if let Some(redis) = redis.as_mut() {
            redis.stop()?;
            let so_far = seen.count();
            seen.wait("writes without the cache", |seen| seen.count() >= so_far + ENOUGH)
                .await?;
            ensure!(seen.away.get() == 0, "a cache that is away fails requests");
        }
        postgres.stop()?;
        seen.wait("answers without the database", |seen| seen.away.get() >= ENOUGH)
            .await?;
        postgres.start_again().await?;
        if let Some(redis) = redis.as_mut() {
            redis.start_again().await?;
        }
        let so_far = seen.count();
        seen.wait("writes afterwards", |seen| seen.count() >= so_far + ENOUGH)
            .await?;
        seen.over.set(true);
        anyhow::Ok(())
    };
    let (called, stormed) = futures::join!(join_all((0..CALLERS).map(|_| call())), async {
        let stormed = storm.await;
        seen.over.set(true);
        stormed
    });
    called.into_iter().collect::<Result<()>>()?;
    stormed?;
    let acknowledged = seen.acknowledged.into_inner();
    for named in &acknowledged {
        read(named).await?.expect(200)?;
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
async fn knowledge_outlives_its_stores_under_load() -> Result<()> {
    let (mut postgres, mut redis) = (Postgres::start_durable().await?, Redis::start().await?);
    let url = redis.url();
    let options = ["--auth-mode", "disabled", "--redis-url", &url];
    let service = Knowledge::start_on(&postgres, &options).await?;
    let write = async |n: u64| service.note(ADMIN, &format!("{n}.md"), &format!("page {n}")).await;
    let name = |n: u64, _: &Value| Some(format!("/knowledge/{n}.md"));
    let read = async |path: &str| service.get(ADMIN, path).await;
    weather(&mut postgres, Some(&mut redis), (201, write), name, read).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn governance_outlives_its_store_under_load_and_its_chain_verifies() -> Result<()> {
    let mut postgres = Postgres::start_durable().await?;
    let service = Governance::start_with(&postgres, true, &[]).await?;
    let ann = of_acme("ann", "Architect");
    let write = async |n: u64| {
        let mut policy = constraint(&format!("policy {n}"));
        policy["status"] = json!("draft");
        service.post(ann, "/api/v1/policies", &policy).await
    };
    let name = |_: u64, made: &Value| Some(format!("/api/v1/policies/{}", made["id"].as_str()?));
    let read = async |path: &str| service.get(ann, path).await;
    weather(&mut postgres, None, (201, write), name, read).await?;
    ensure!(service.verify("acme").await?["valid"] == true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_outlives_its_store_under_load_and_delivers_each_item_once() -> Result<()> {
    let mut postgres = Postgres::start_durable().await?;
    // More workers than callers wait for: the storm is about what is under way, too.
    let options = [
        "--auth-mode",
        "disabled",
        "--sync-jobs-at-once",
        "8",
        "--sync-jobs-per-tenant",
        "8",
    ];
    let service = Sync::start_on(Ground::on(&postgres).await?, &options).await?;
    let text = |n: u64| format!("page {n}");
    let write = async |n: u64| {
        service.write("acme", &format!("{n}/page.md"), text(n))?;
        service.start_job("acme", &directory(&format!("{n}"))).await
    };
    let name = |_: u64, made: &Value| Some(format!("/api/v1/sync/status/{}", made["id"].as_str()?));
    let read = async |path: &str| service.get("acme", path).await;
    let acknowledged = weather(&mut postgres, None, (202, write), name, read).await?;
    expect_all_delivered(&service, &acknowledged).await
}

/// Every job that was acknowledged succeeds, and every text is there once.
async fn expect_all_delivered(service: &Sync, jobs: &[String]) -> Result<()> {
    let deadline = Instant::now() + std::time::Duration::from_secs(180);
    // What failed in the storm rests for a while: here that while is over.
    let hurry = "update sync.jobs set run_after = '-infinity' where status = 'queued' and run_after > now()";
    for job in jobs {
        loop {
            let answer = service.get("acme", &format!("{job}?wait=1s")).await?;
            answer.expect(200)?;
            if answer.body["finishedAt"].is_string() {
                ensure!(answer.body["status"] == "succeeded", "{}", answer.text);
                break;
            }
            ensure!(Instant::now() < deadline, "a job does not end: {}", answer.text);
            sqlx::query(hurry).execute(&service.memory.ground.root).await?;
        }
    }
    let memories = service.memories("acme").await?;
    let mut once = memories.clone();
    once.dedup();
    ensure!(once.len() == memories.len(), "a text was delivered twice: {memories:?}");
    // A job whose answer was lost in the storm is there as well.
    ensure!(once.len() >= jobs.len(), "{} jobs, {} texts", jobs.len(), once.len());
    Ok(())
}
