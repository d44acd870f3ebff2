//! A directory of Markdown into memories of the real memory service.

use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use serde_json::json;

use super::service::{Sync, directory, expect_job};

#[tokio::test]
async fn a_directory_becomes_memories_and_stays_what_it_is() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..40 {
        sync.write("acme", &format!("docs/{n:02}.md"), format!("page {n:02}"))?;
    }
    let body = directory("docs");
    let first = sync.run_job("acme", &body).await?;
    expect_job(
        &first,
        "succeeded",
        &json!({"processed": 40, "added": 40, "estimate": 40, "rejected": 0}),
    )?;
    ensure!(sync.memories("acme").await?.len() == 40);

    let again = sync.run_job("acme", &body).await?;
    expect_job(
        &again,
        "succeeded",
        &json!({"processed": 40, "unchanged": 40, "added": 0, "bytes": 0}),
    )?;
    ensure!(again.body["result"] == first.body["result"], "{}", again.text);
    let full = json!({"connectionId": again.body["connectionId"], "mode": "full"});
    let full = sync.run_job("acme", &full).await?;
    expect_job(&full, "succeeded", &json!({"unchanged": 40, "bytes": 280}))?;

    sync.write("acme", "docs/00.md", "page 00, second edition")?;
    sync.remove("acme", "docs/01.md")?;
    sync.write("acme", "docs/new/40.md", "page 40")?;
    let third = sync.run_job("acme", &body).await?;
    expect_job(
        &third,
        "succeeded",
        &json!({"processed": 41, "added": 1, "updated": 1, "deleted": 1, "unchanged": 38}),
    )?;
    ensure!(third.body["connectionId"] == first.body["connectionId"]);
    ensure!(third.body["result"] != first.body["result"], "{}", third.text);
    let memories = sync.memories("acme").await?;
    ensure!(
        memories.len() == 40 && memories.contains(&"page 00, second edition".to_owned()),
        "{memories:?}"
    );
    ensure!(
        !memories.contains(&"page 00".to_owned()) && !memories.contains(&"page 01".to_owned()),
        "{memories:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_delivered_is_rejected_and_the_rest_is_delivered() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "good.md", "good")?;
    sync.write("acme", "latin.md", b"caf\xe9")?;
    sync.write("acme", "long.md", "x".repeat(40_000))?;
    symlink("/etc/hostname", sync.file("acme", "out.md")?)?;
    let job = sync.run_job("acme", &directory("")).await?;
    expect_job(&job, "partial", &json!({"processed": 4, "added": 1, "rejected": 3}))?;
    ensure!(sync.memories("acme").await? == ["good"]);
    let rejects: Vec<(String, String)> =
        sqlx::query_as("select external_id, code from sync.rejects order by external_id collate \"C\"")
            .fetch_all(&sync.memory.ground.root)
            .await?;
    let rejects: Vec<_> = rejects.iter().map(|(id, code)| (id.as_str(), code.as_str())).collect();
    // The long one is well read, and the memory service's own words are kept.
    let expected = [
        ("latin.md", "NOT_UTF8"),
        ("long.md", "INVALID_CONTENT"),
        ("out.md", "SYMLINK_OUTSIDE"),
    ];
    ensure!(rejects == expected, "{rejects:?}");

    sync.write("acme", "latin.md", "café")?;
    sync.remove("acme", "out.md")?;
    let job = sync.run_job("acme", &directory("")).await?;
    expect_job(
        &job,
        "partial",
        &json!({"added": 1, "rejected": 1, "unchanged": 1, "deleted": 0}),
    )?;
    sync.remove("acme", "long.md")?;
    let job = sync.run_job("acme", &directory("")).await?;
    expect_job(&job, "succeeded", &json!({"unchanged": 2, "rejected": 0}))
}

#[tokio::test]
async fn a_directory_that_is_not_there_fails_the_job_and_says_so() -> Result<()> {
    let sync = Sync::start().await?;
    for (tenant, path) in [("acme", "nowhere"), ("..", ""), ("a/b", "")] {
        let job = sync.run_job(tenant, &directory(path)).await?;
        expect_job(&job, "failed", &json!({"processed": 0}))?;
        let error = &job.body["error"];
        ensure!(
            error["class"] == "config" && error["retryable"] == false,
            "{}",
            job.text
        );
    }
    // One tenant's directory is not another's.
    sync.write("globex", "secret.md", "of globex")?;
    ensure!(sync.root().join("globex/secret.md").exists());
    let job = sync.run_job("acme", &directory("globex")).await?;
    expect_job(&job, "failed", &json!({}))?;
    ensure!(job.body["error"]["code"] == "SOURCE_NOT_FOUND", "{}", job.text);
    Ok(())
}

#[tokio::test]
async fn a_user_layer_without_a_user_is_its_starters() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "a.md", "mine")?;
    let mut body = directory("");
    body["target"]["layer"] = json!("user");
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "succeeded", &json!({"added": 1}))?;
    let identifiers: serde_json::Value = sqlx::query_scalar("select identifiers from memory.memories")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(identifiers == json!({"userId": "anonymous"}), "{identifiers}");
    Ok(())
}
