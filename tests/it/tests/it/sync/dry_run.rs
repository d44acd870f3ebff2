//! A run that only tells what it would do.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sync_service::worker::{Point, drive};

use super::kills::crash_at;
use super::service::{Sync, directory, expect_job};

fn dry(mut body: Value) -> Value {
    body["dryRun"] = json!(true);
    body
}

#[tokio::test]
async fn a_dry_run_tells_what_the_next_run_does_and_changes_nothing() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..40 {
        sync.write("acme", &format!("{n:02}.md"), format!("text {n:02}"))?;
    }
    sync.run_job("acme", &directory("")).await?;
    let before = sync.memories("acme").await?;
    sync.write("acme", "00.md", "edited")?;
    sync.write("acme", "new.md", "new")?;
    sync.write("acme", "bad.md", b"\xff")?;
    sync.remove("acme", "39.md")?;

    let counts = json!({"processed": 42, "added": 1, "updated": 1, "deleted": 1, "unchanged": 38, "rejected": 1});
    for _ in 0..2 {
        let told = sync.run_job("acme", &dry(directory(""))).await?;
        expect_job(&told, "partial", &counts)?;
        ensure!(
            told.body["dryRun"] == true && told.body["result"].is_null(),
            "{}",
            told.text
        );
        ensure!(sync.memories("acme").await? == before, "nothing changes");
        let rejects = sync.get("acme", "/api/v1/sync/rejects").await?;
        ensure!(rejects.body["items"][0]["code"] == "NOT_UTF8", "{}", rejects.text);
    }
    let done = sync.run_job("acme", &directory("")).await?;
    expect_job(&done, "partial", &counts)?;
    ensure!(
        done.body["dryRun"] == false && done.body["result"]["digest"].is_string(),
        "{}",
        done.text
    );
    let after = sync.memories("acme").await?;
    ensure!(after.len() == 40 && after.contains(&"edited".to_owned()) && !after.contains(&"text 39".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_before_the_first_run_delivers_nothing() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..5 {
        sync.write("acme", &format!("{n}.md"), format!("text {n}"))?;
    }
    let told = sync.run_job("acme", &dry(directory(""))).await?;
    expect_job(&told, "succeeded", &json!({"processed": 5, "added": 5}))?;
    ensure!(sync.memories("acme").await?.is_empty());
    // What was only foreseen and went away again is nothing that the target would lose.
    sync.remove("acme", "4.md")?;
    let done = sync.run_job("acme", &directory("")).await?;
    expect_job(&done, "succeeded", &json!({"processed": 4, "added": 4, "deleted": 0}))?;
    ensure!(sync.memories("acme").await?.len() == 4);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_tells_that_too_much_would_vanish() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..4 {
        sync.write("acme", &format!("{n}.md"), format!("text {n}"))?;
    }
    sync.run_job("acme", &directory("")).await?;
    sync.remove("acme", "0.md")?;
    // As many come as there are: they do not make the loss a smaller part of what was delivered.
    for n in 10..14 {
        sync.write("acme", &format!("{n}.md"), format!("text {n}"))?;
    }
    let told = sync.run_job("acme", &dry(directory(""))).await?;
    ensure!(told.body["error"]["code"] == "MASS_DELETE", "{}", told.text);
    let mut allowed = dry(directory(""));
    allowed["allowMassDelete"] = json!(true);
    expect_job(
        &sync.run_job("acme", &allowed).await?,
        "succeeded",
        &json!({"added": 4, "deleted": 1}),
    )?;
    ensure!(sync.memories("acme").await?.len() == 4);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_that_lost_its_worker_counts_each_item_once() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for n in 0..70 {
        sync.write("acme", &format!("{n:02}.md"), format!("text {n:02}"))?;
    }
    let started = sync.start_job("acme", &dry(directory(""))).await?;
    for nth in [0, 1] {
        ensure!(crash_at(&sync.context(), sync.claim().await?, Point::PageRead, nth).await?);
        sync.let_time_pass().await?;
    }
    drive(&sync.context(), sync.claim().await?).await;
    let told = sync.end_of("acme", started.id()?).await?;
    expect_job(&told, "succeeded", &json!({"processed": 70, "added": 70}))
}
