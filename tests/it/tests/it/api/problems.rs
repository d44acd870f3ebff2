//! What no handler is asked about.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{Service, send};

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems() -> Result<()> {
    let service = Service::start().await?;
    send(service.request(Method::GET, "/api/v2/memories"))
        .await?
        .expect_problem(404, "NOT_FOUND")?;
    send(service.request(Method::PUT, "/api/v1/memories"))
        .await?
        .expect_problem(405, "METHOD_NOT_ALLOWED")
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made() -> Result<()> {
    let service = Service::start().await?;
    let answer = send(
        service
            .request(Method::GET, "/nowhere")
            .header("X-Request-ID", "mine-7"),
    )
    .await?;
    ensure!(
        answer.headers["x-request-id"] == "mine-7" && answer.body["requestId"] == "mine-7",
        "{}",
        answer.text
    );
    let made = send(
        service
            .request(Method::GET, "/nowhere")
            .header("X-Request-ID", "no spaces, please"),
    )
    .await?;
    let id = made.headers["x-request-id"].to_str()?;
    ensure!(id.len() == 36 && made.body["requestId"] == id, "{}", made.text);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_takes_no_writes_is_read_and_says_so() -> Result<()> {
    let service = Service::start().await?;
    let kept = service
        .create("acme", &json!({"content": "kept", "layer": "team"}))
        .await?;
    kept.expect(201)?;
    sqlx::query("update routing.tenants set access = 'ReadOnly' where tenant_id = 'acme'")
        .execute(&service.ground.root)
        .await?;
    service
        .create("acme", &json!({"content": "more", "layer": "team"}))
        .await?
        .expect_problem(403, "TENANT_NOT_WRITABLE")?;
    service
        .delete("acme", kept.id()?)
        .await?
        .expect_problem(403, "TENANT_NOT_WRITABLE")?;
    service.get("acme", kept.id()?).await?.expect(200)
}
