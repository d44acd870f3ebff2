//! Connections: listed, shown, forgotten.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{Sync, directory, expect_job};
use crate::api::service::{Answer, send};

async fn delete(sync: &Sync, tenant: &str, role: &str, id: &str) -> Result<Answer> {
    let request = sync.request(Method::DELETE, &format!("/api/v1/sync/connections/{id}"));
    send(request.header("X-Tenant-ID", tenant).header("X-Roles", role)).await
}

#[tokio::test]
async fn connections_are_listed_page_by_page_and_shown_to_their_tenant_alone() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for name in ["a", "b", "c"] {
        sync.start_job("acme", &directory(name)).await?.expect(202)?;
    }
    let first = sync.get("acme", "/api/v1/sync/connections?limit=2").await?;
    let cursor = first.body["nextCursor"].as_str().context("there is more")?;
    let second = sync
        .get("acme", &format!("/api/v1/sync/connections?limit=2&cursor={cursor}"))
        .await?;
    let paths: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page.body["items"].as_array().into_iter().flatten())
        .map(|one| one["source"]["config"]["path"].as_str().unwrap_or_default())
        .collect();
    ensure!(
        paths == ["c", "b", "a"] && second.body["nextCursor"].is_null(),
        "{paths:?}"
    );
    let one = &first.body["items"][0];
    ensure!(
        one["activeJobId"].is_string() && one["createdBy"] == "anonymous",
        "{one}"
    );
    let path = format!("/api/v1/sync/connections/{}", one["id"].as_str().unwrap_or_default());
    ensure!(sync.get("acme", &path).await?.body == *one);
    sync.get("globex", &path)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    let none = sync.get("globex", "/api/v1/sync/connections").await?;
    ensure!(none.body["items"] == json!([]), "{}", none.text);
    Ok(())
}

#[tokio::test]
async fn a_connection_is_forgotten_with_all_that_belongs_to_it_but_not_what_it_delivered() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "a.md", "text")?;
    sync.write("acme", "bad.md", b"\xff")?;
    let job = sync.run_job("acme", &directory("")).await?;
    expect_job(&job, "partial", &json!({"added": 1, "rejected": 1}))?;
    let id = job.body["connectionId"].as_str().context("a connection")?;
    let schedule = sync
        .request(Method::PUT, &format!("/api/v1/sync/schedules/{id}"))
        .header("X-Tenant-ID", "acme");
    send(schedule.json(&json!({"cron": "0 3 * * *"}))).await?.expect(200)?;
    for (tenant, role, status, code) in [
        ("acme", "Developer", 403, "FORBIDDEN"),
        ("globex", "TenantAdmin", 404, "CONNECTION_NOT_FOUND"),
    ] {
        delete(&sync, tenant, role, id).await?.expect_problem(status, code)?;
    }
    sync.knowledge.close();
    let mut other = super::jobs::to_knowledge("");
    other["mode"] = json!("full");
    let active = sync.start_job("acme", &other).await?;
    let busy = active.body["connectionId"].as_str().context("a connection")?;
    let refused = delete(&sync, "acme", "TenantAdmin", busy).await?;
    refused.expect_problem(409, "SYNC_IN_PROGRESS")?;
    ensure!(
        refused.body["errors"][0]["message"] == active.body["id"],
        "{}",
        refused.text
    );
    sync.knowledge.open();

    delete(&sync, "acme", "TenantAdmin", id).await?.expect(204)?;
    delete(&sync, "acme", "TenantAdmin", id)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    for table in ["jobs", "items", "rejects", "schedules"] {
        let count = format!("select count(*) from sync.{table} where connection_id = $1::uuid");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .bind(id)
            .fetch_one(&sync.memory.ground.root)
            .await?;
        ensure!(left == 0, "{table} has {left} rows");
    }
    ensure!(sync.memories("acme").await? == ["text"]);
    Ok(())
}
