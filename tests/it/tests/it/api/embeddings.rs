//! `POST /api/v1/embeddings/generate`, and the cache before a model.

use aeterna_testkit::Redis;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::service::Service;
use crate::ground::{Ground, MODEL, embed};

const PATH: &str = "/api/v1/embeddings/generate";

fn vectors(body: &Value) -> Result<Vec<Vec<f32>>> {
    serde_json::from_value(body["embeddings"].clone()).context("no vectors")
}

#[tokio::test]
async fn one_text_and_many_texts_are_embedded_in_their_order() -> Result<()> {
    let service = Service::start().await?;
    let one = service.post("acme", PATH, &json!({"input": "a"})).await?;
    one.expect(200)?;
    ensure!(
        vectors(&one.body)? == [embed("a")] && one.body["model"] == MODEL && one.body["dimension"] == 16,
        "{}",
        one.text
    );
    let many = service
        .post("acme", PATH, &json!({"input": ["b", "a", "b"], "model": MODEL}))
        .await?;
    ensure!(
        vectors(&many.body)? == [embed("b"), embed("a"), embed("b")],
        "{}",
        many.text
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused() -> Result<()> {
    let service = Service::start().await?;
    let refused = [
        (json!({"input": []}), "INVALID_CONTENT", "/input"),
        (json!({"input": vec!["x"; 129]}), "INVALID_CONTENT", "/input"),
        (json!({"input": ["x", ""]}), "INVALID_CONTENT", "/input/1"),
        (
            json!({"input": "x".repeat(32 * 1024 + 1)}),
            "INVALID_CONTENT",
            "/input/0",
        ),
        (json!({"input": "x", "model": "unheard-of"}), "INVALID_BODY", "/model"),
        (json!({"input": 7}), "INVALID_BODY", "/input"),
    ];
    for (body, code, pointer) in refused {
        let answer = service.post("acme", PATH, &body).await?;
        answer.expect_problem(422, code)?;
        ensure!(
            answer.body["errors"][0]["pointer"] == pointer,
            "{pointer}: {}",
            answer.text
        );
    }
    service.model.go_away();
    service
        .post("acme", PATH, &json!({"input": "x"}))
        .await?
        .expect_problem(502, "EMBEDDING_FAILED")
}

#[tokio::test]
async fn a_text_that_was_embedded_before_is_not_asked_for_again_by_another_instance() -> Result<()> {
    let redis = Redis::start().await?;
    let url = redis.url();
    let options = ["--auth-mode", "disabled", "--redis-url", &url];
    let first = Service::start_on(Ground::new().await?, &options).await?;
    let body = json!({"input": "once"});
    first.post("acme", PATH, &body).await?.expect(200)?;
    first.post("acme", PATH, &body).await?.expect(200)?;
    ensure!(first.model.asked() == 1, "{} texts were asked for", first.model.asked());
    let second = Service::start_on(Ground::new().await?, &options).await?;
    let answer = second.post("acme", PATH, &body).await?;
    ensure!(vectors(&answer.body)? == [embed("once")], "{}", answer.text);
    ensure!(second.model.asked() == 0, "the second instance asked the model");
    // What another tenant has embedded is nobody's business.
    second.post("globex", PATH, &body).await?.expect(200)?;
    ensure!(second.model.asked() == 1, "the tenant is not part of the key");
    Ok(())
}
