//! Stores that are away, seen by a caller.

use aeterna_testkit::{Postgres, Redis};
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{ADMIN, Service, wait_until};
use crate::api::service::send;

#[tokio::test]
async fn without_the_database_callers_are_told_to_come_back_and_then_served() -> Result<()> {
    let mut server = Postgres::start().await?;
    let service = Service::start_on(&server, &["--auth-mode", "disabled"]).await?;
    service.note(ADMIN, "a.md", "before").await?.expect(201)?;
    server.stop()?;
    service
        .note(ADMIN, "b.md", "meanwhile")
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    let change = json!({"content": "meanwhile", "kind": "note", "layer": "team"});
    service
        .put(ADMIN, "a.md", &change)
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    for path in ["/knowledge/a.md", "/knowledge/"] {
        service.get(ADMIN, path).await?.expect_problem(503, "UNAVAILABLE")?;
    }
    for (path, body) in [
        ("/knowledge/search", json!({"query": "before"})),
        ("/context/assemble", json!({"query": "before"})),
    ] {
        service
            .post(ADMIN, path, &body)
            .await?
            .expect_problem(503, "UNAVAILABLE")?;
    }
    let export = service
        .request(ADMIN, Method::GET, "/knowledge/")
        .header("Accept", "application/x-tar");
    send(export).await?.expect_problem(503, "UNAVAILABLE")?;
    let import = service
        .request(ADMIN, Method::POST, "/knowledge/import")
        .header("Content-Type", "application/x-tar");
    send(import.body(vec![0; 1024]))
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    server.start_again().await?;
    wait_until("it serves again", async || {
        Ok(service.get(ADMIN, "/knowledge/a.md").await?.status == 200)
    })
    .await
}

#[tokio::test]
async fn without_the_cache_everything_is_answered() -> Result<()> {
    let mut redis = Redis::start().await?;
    let url = redis.url();
    let options = ["--auth-mode", "disabled", "--redis-url", &url];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    service.note(ADMIN, "a.md", "before").await?.expect(201)?;
    redis.stop()?;
    let ask = json!({"query": "before", "include": {"memories": false}, "pinned": ["a.md"]});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    told.expect(200)?;
    ensure!(told.body["entries"][0]["ref"] == "knowledge:a.md@1", "{}", told.text);
    Ok(())
}
