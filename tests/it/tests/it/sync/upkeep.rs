//! What is forgotten by itself: old jobs, and copies of repositories that nobody needs.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sync_service::worker::upkeep::Upkeep;

use super::feed_faults::try_once;
use super::repository::{Repository, repository};
use super::service::{Sync, directory, expect_job};
use crate::api::service::send;

#[tokio::test]
async fn jobs_of_long_ago_are_forgotten_but_for_the_newest_of_each_connection() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let root = &sync.memory.ground.root;
    for tenant in ["acme", "globex"] {
        sync.write(tenant, "bad.md", b"\xff")?;
        let mut limited = directory("");
        limited["limits"] = json!({"maxItems": 1});
        for _ in 0..3 {
            run(&sync, tenant, &limited).await?;
        }
        run(&sync, tenant, &directory("x")).await?;
    }
    let count = async || -> Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from sync.jobs")
            .fetch_one(root)
            .await?)
    };
    let before = count().await?;
    ensure!(sync.state.upkeep().forget_jobs().await? == 0 && count().await? == before);
    let age = "update sync.jobs set finished_at = finished_at - interval '29 days'";
    sqlx::query(age).execute(root).await?;
    ensure!(sync.state.upkeep().forget_jobs().await? == 0);
    sqlx::query(age).execute(root).await?;
    let active = sync.start_job("acme", &directory("y")).await?.id()?;
    sync.state.upkeep().forget_jobs().await?;
    let left: Vec<(String, i64)> = sqlx::query_as(
        "select tenant_id, count(*) from sync.jobs group by tenant_id, connection_id order by tenant_id",
    )
    .fetch_all(root)
    .await?;
    let one = |tenant: &str| (tenant.to_owned(), 1);
    let expected = [one("acme"), one("acme"), one("acme"), one("globex"), one("globex")];
    ensure!(left == expected, "{left:?}");
    sync.get("acme", &format!("/api/v1/sync/status/{active}"))
        .await?
        .expect(200)
}

/// Runs a job once.
async fn run(sync: &Sync, tenant: &str, body: &Value) -> Result<()> {
    let id = sync.start_job(tenant, body).await?.id()?;
    sync_service::worker::drive(&sync.context(), sync.claim().await?).await;
    sync.end_of(tenant, id).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_with_its_connection_and_where_all_are_too_large() -> Result<()> {
    let (sync, git) = (Sync::by_hand().await?, Repository::start().await?);
    git.write("docs/a.md", "A")?;
    git.commit().await?;
    let body = repository(git.url(), "docs");
    let first = try_once(&sync, &body).await?;
    expect_job(&first, "succeeded", &json!({"added": 1}))?;
    sync.state.upkeep().remove_copies().await?;
    ensure!(sync.copies()?.len() == 1, "it is of a connection, and small");
    let narrow = Upkeep {
        copies_bytes: 10,
        ..sync.state.upkeep().clone()
    };
    narrow.remove_copies().await?;
    ensure!(sync.copies()?.is_empty());
    // The next run fetches it again.
    git.write("docs/b.md", "B")?;
    git.commit().await?;
    expect_job(&try_once(&sync, &body).await?, "succeeded", &json!({"added": 1}))?;
    ensure!(sync.copies()?.len() == 1);

    let connection = first.body["connectionId"].as_str().context("a connection")?;
    let path = format!("/api/v1/sync/connections/{connection}");
    send(sync.request(Method::DELETE, &path).header("X-Tenant-ID", "acme"))
        .await?
        .expect(204)?;
    sync.state.upkeep().remove_copies().await?;
    ensure!(sync.copies()?.is_empty());
    Ok(())
}
