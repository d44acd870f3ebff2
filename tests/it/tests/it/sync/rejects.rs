//! Rejects, their replay, and what stops a run.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sync_service::worker::{Context, Point, Probe, drive};

use super::jobs::to_knowledge;
use super::service::{Sync, directory, expect_job};

async fn rejects(sync: &Sync, query: &str) -> Result<Vec<Value>> {
    let answer = sync.get("acme", &format!("/api/v1/sync/rejects{query}")).await?;
    answer.expect(200)?;
    Ok(answer.body["items"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_reject_is_tried_again_alone_and_goes_away_when_it_passes() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "bad.md", b"\xff")?;
    sync.write("acme", "worse.md", b"\xfe")?;
    let first = sync.run_job("acme", &directory("")).await?;
    expect_job(&first, "partial", &json!({"rejected": 2}))?;
    let found = rejects(&sync, "?code=NOT_UTF8").await?;
    ensure!(found.len() == 2, "{found:?}");
    let bad = found
        .iter()
        .find(|reject| reject["externalId"] == "bad.md")
        .context("it is there")?;
    ensure!(bad["times"] == 1 && bad["jobId"] == first.body["id"], "{bad}");
    let retry = format!("/api/v1/sync/retry/{}", bad["id"].as_str().unwrap_or_default());

    let still = sync.post("acme", &retry, &json!({})).await?;
    still.expect(202)?;
    let still = sync.end_of("acme", still.id()?).await?;
    expect_job(&still, "partial", &json!({"processed": 1, "rejected": 1}))?;
    ensure!(
        rejects(&sync, "")
            .await?
            .iter()
            .any(|reject| reject["externalId"] == "bad.md" && reject["times"] == 2)
    );

    sync.write("acme", "bad.md", "good")?;
    sync.write("acme", "new.md", "not asked for")?;
    let passed = sync.post("acme", &retry, &json!({})).await?;
    let passed = sync.end_of("acme", passed.id()?).await?;
    expect_job(&passed, "succeeded", &json!({"processed": 1, "added": 1}))?;
    ensure!(sync.memories("acme").await? == ["good"]);
    let left = rejects(&sync, "").await?;
    ensure!(left.len() == 1 && left[0]["externalId"] == "worse.md", "{left:?}");
    sync.post("acme", &retry, &json!({}))
        .await?
        .expect_problem(404, "REJECT_NOT_FOUND")?;
    ensure!(rejects(&sync, "?code=EMPTY").await?.is_empty());
    sync.get("acme", "/api/v1/sync/rejects?cursor=x")
        .await?
        .expect_problem(400, "INVALID_CURSOR")
}

#[tokio::test]
async fn more_than_a_fifth_does_not_vanish_unless_that_is_allowed() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..10 {
        sync.write("acme", &format!("{n}.md"), format!("page {n}"))?;
    }
    sync.run_job("acme", &directory("")).await?;
    sync.remove("acme", "0.md")?;
    sync.remove("acme", "1.md")?;
    let fifth = sync.run_job("acme", &directory("")).await?;
    expect_job(&fifth, "succeeded", &json!({"deleted": 2}))?;
    sync.remove("acme", "2.md")?;
    sync.remove("acme", "3.md")?;
    sync.write("acme", "10.md", "page 10")?;
    let stopped = sync.run_job("acme", &directory("")).await?;
    expect_job(&stopped, "failed", &json!({"deleted": 0, "added": 1}))?;
    let error = &stopped.body["error"];
    ensure!(
        error["code"] == "MASS_DELETE" && error["class"] == "data",
        "{}",
        stopped.text
    );
    ensure!(sync.memories("acme").await?.len() == 9);
    let mut body = directory("");
    body["allowMassDelete"] = json!(true);
    let allowed = sync.run_job("acme", &body).await?;
    expect_job(&allowed, "succeeded", &json!({"deleted": 2, "unchanged": 7}))?;
    ensure!(sync.memories("acme").await?.len() == 7);
    Ok(())
}

#[tokio::test]
async fn what_only_moved_is_not_among_what_vanishes() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..10 {
        sync.write("acme", &format!("old/{n}.md"), format!("page {n}"))?;
    }
    sync.write("acme", "twin.md", "page 9")?;
    sync.run_job("acme", &directory("")).await?;
    for n in 0..8 {
        sync.remove("acme", &format!("old/{n}.md"))?;
        sync.write("acme", &format!("new/{n}.md"), format!("page {n}"))?;
    }
    let moved = sync.run_job("acme", &directory("")).await?;
    expect_job(&moved, "succeeded", &json!({"added": 8, "deleted": 8, "unchanged": 3}))?;
    // The text of one is still there, and was there before: it did not move. The others come back as one.
    for path in ["old/9.md", "new/0.md", "new/1.md", "new/2.md"] {
        sync.remove("acme", path)?;
    }
    sync.write("acme", "newer.md", "page 0")?;
    let stopped = sync.run_job("acme", &directory("")).await?;
    expect_job(&stopped, "failed", &json!({"deleted": 0}))?;
    let message = stopped.body["error"]["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("3 of 11 items"), "{}", stopped.text);
    Ok(())
}

#[tokio::test]
async fn what_the_target_has_done_is_committed_also_when_the_limit_is_reached_by_it() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "a.md", "A")?;
    let mut body = to_knowledge("");
    body["limits"] = json!({"maxItems": 1});
    body["allowMassDelete"] = json!(true);
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 1}))?;
    // What is gone in the source is somebody's now, so it stays; the source holds one item as before.
    sync.knowledge.edit("acme", "a.md", "by hand")?;
    sync.remove("acme", "a.md")?;
    sync.write("acme", "b.md", "B")?;
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "partial", &json!({"added": 1, "rejected": 1}))
}

#[tokio::test]
async fn a_retry_has_the_limits_of_the_job_that_met_the_reject() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "bad.md", b"\xff")?;
    let mut body = directory("");
    body["limits"] = json!({"maxItems": 1});
    expect_job(&sync.run_job("acme", &body).await?, "partial", &json!({"rejected": 1}))?;
    let reject = rejects(&sync, "").await?.pop().context("it is there")?;
    sync.write("acme", "more.md", "more than one")?;
    let retry = format!("/api/v1/sync/retry/{}", reject["id"].as_str().unwrap_or_default());
    let job = sync.post("acme", &retry, &json!({})).await?.id()?;
    let job = sync.end_of("acme", job).await?;
    ensure!(job.body["error"]["code"] == "TOO_MANY_ITEMS", "{}", job.text);
    Ok(())
}

#[tokio::test]
async fn a_run_takes_no_more_than_its_limits() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..5 {
        sync.write("acme", &format!("{n}.md"), "x".repeat(1_000))?;
    }
    let limited = |limits: Value| {
        let mut body = directory("");
        body["limits"] = limits;
        body
    };
    let items = sync.run_job("acme", &limited(json!({"maxItems": 4}))).await?;
    expect_job(&items, "failed", &json!({"added": 0}))?;
    ensure!(items.body["error"]["code"] == "TOO_MANY_ITEMS", "{}", items.text);
    let bytes = sync.run_job("acme", &limited(json!({"maxBytes": 4_999}))).await?;
    expect_job(&bytes, "failed", &json!({}))?;
    ensure!(bytes.body["error"]["code"] == "TOO_MANY_BYTES", "{}", bytes.text);
    let fits = sync
        .run_job("acme", &limited(json!({"maxItems": 5, "maxBytes": 5_000})))
        .await?;
    expect_job(&fits, "succeeded", &json!({"added": 5}))
}

#[tokio::test]
async fn files_that_vanish_between_listing_and_reading_meet_the_guard() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for n in 0..10 {
        sync.write("acme", &format!("{n}.md"), format!("page {n}"))?;
    }
    let mut body = directory("");
    body["mode"] = json!("full");
    for (vanishing, status, deleted) in [(5, "failed", 0), (1, "succeeded", 1)] {
        sync.start_job("acme", &body).await?.expect(202)?;
        drive(&sync.context(), sync.claim().await?).await;
        ensure!(sync.memories("acme").await?.len() == 10);
        let files: Vec<_> = (0..vanishing)
            .map(|n| sync.file("acme", &format!("{n}.md")))
            .collect::<Result<_>>()?;
        // The list is made; what it names goes before it is read.
        let probe = Probe::new(move |point| {
            if point == Point::PageRead {
                for file in &files {
                    drop(std::fs::remove_file(file));
                }
            }
            Box::pin(std::future::ready(()))
        });
        let context = Context {
            probe,
            ..sync.context()
        };
        let id = sync.start_job("acme", &body).await?.id()?;
        drive(&context, sync.claim().await?).await;
        let job = sync.end_of("acme", id).await?;
        expect_job(&job, status, &json!({"deleted": deleted}))?;
        let code = if status == "failed" {
            json!("MASS_DELETE")
        } else {
            Value::Null
        };
        ensure!(job.body["error"]["code"] == code, "{}", job.text);
        ensure!(sync.memories("acme").await?.len() == 10 - deleted);
        for n in 0..vanishing {
            sync.write("acme", &format!("{n}.md"), format!("page {n}"))?;
        }
    }
    Ok(())
}
