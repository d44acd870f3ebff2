//! Stores that are away, seen by a caller.

use aeterna_testkit::{Postgres, Redis};
use aeterna_vectorstore::Op;
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use super::service::{Service, found, send};
use crate::ground::Ground;

#[tokio::test]
async fn without_the_database_callers_are_told_to_come_back_and_then_served() -> Result<()> {
    let mut server = Postgres::start().await?;
    let service = Service::start_on(Ground::on(&server).await?, &["--auth-mode", "disabled"]).await?;
    let id = service.store("acme", "before the outage").await?;
    server.stop()?;
    let body = json!({"content": "meanwhile", "layer": "team"});
    service
        .create("acme", &body)
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    service.create("new", &body).await?.expect_problem(503, "UNAVAILABLE")?;
    service.get("acme", id).await?.expect_problem(503, "UNAVAILABLE")?;
    service.delete("acme", id).await?.expect_problem(503, "UNAVAILABLE")?;
    service
        .search("acme", &json!({"query": "before"}))
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    send(service.request(Method::GET, "/health")).await?.expect(200)?;
    service
        .ground
        .wait_until("it is not ready", async || {
            let ready = send(service.request(Method::GET, "/ready")).await?;
            Ok(ready.status == 503 && ready.text == "NOT READY: database")
        })
        .await?;
    server.start_again().await?;
    service
        .ground
        .wait_until("it serves again", async || {
            Ok(service.get("acme", id).await?.status == 200)
        })
        .await?;
    service.create("acme", &body).await?.expect(201)
}

#[tokio::test]
async fn without_the_cache_everything_is_answered() -> Result<()> {
    let mut redis = Redis::start().await?;
    let url = redis.url();
    let service = Service::start_on(Ground::new().await?, &["--auth-mode", "disabled", "--redis-url", &url]).await?;
    service.store("acme", "with a cache").await?;
    redis.stop()?;
    let id = service.store("acme", "without a cache").await?;
    let hits = service.search("acme", &json!({"query": "without a cache"})).await?;
    ensure!(found(&hits).first() == Some(&id), "{}", hits.text);
    send(service.request(Method::GET, "/ready")).await?.expect(200)?;
    let verbose = send(service.request(Method::GET, "/ready?verbose")).await?;
    ensure!(verbose.body["ready"] == true, "{}", verbose.text);
    redis.start_again().await?;
    service.store("acme", "with a cache again").await.map(|_| ())
}

#[tokio::test]
async fn without_the_vector_store_writes_are_taken_and_searches_go_by_words() -> Result<()> {
    let service = Service::start().await?;
    service.store("acme", "an apple a day").await?;
    service.ground.faults().fail(Op::Upsert, Code::Unavailable);
    service.ground.faults().fail(Op::Query, Code::Unavailable);
    let stored = service
        .create("acme", &json!({"content": "a pear a day", "layer": "team"}))
        .await?;
    stored.expect(201)?;
    ensure!(stored.body["indexState"] == "pending", "{}", stored.text);
    let words = service.search("acme", &json!({"query": "pear"})).await?;
    words.expect(200)?;
    ensure!(
        words.body["degraded"] == json!(["keyword_only"]) && found(&words) == [stored.id()?],
        "{}",
        words.text
    );
    service.ground.faults().clear();
    service
        .ground
        .wait_until("the relay has brought the point", async || {
            let answer = service
                .search(
                    "acme",
                    &json!({"query": "a pear a day", "mode": "semantic", "limit": 1}),
                )
                .await?;
            Ok(answer.body["degraded"] == json!([]) && found(&answer) == [stored.id()?])
        })
        .await
}
