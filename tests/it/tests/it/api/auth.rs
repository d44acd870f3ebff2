//! Who may ask, over HTTP; the rules themselves are tested beside the extractor.

use std::io::Write as _;

use anyhow::{Result, ensure};
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::json;

use super::service::{Service, send};
use crate::ground::Ground;

const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

#[tokio::test]
async fn a_token_opens_its_tenant_and_no_other() -> Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(SECRET)?;
    let path = file.path().to_string_lossy().into_owned();
    let options = ["--auth-mode", "jwt", "--auth-jwt-secret-file", &path];
    let service = Service::start_on(Ground::new().await?, &options).await?;
    let token = encode(
        &Header::default(),
        &json!({"sub": "ann", "tenant": "acme", "exp": 4_000_000_000_u64}),
        &EncodingKey::from_secret(SECRET),
    )?;
    let post = |tenant: Option<&str>, token: Option<&str>| {
        let mut request = service.request(Method::POST, "/api/v1/memories");
        if let Some(tenant) = tenant {
            request = request.header("X-Tenant-ID", tenant);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        send(request.json(&json!({"content": "mine", "layer": "user"})))
    };
    let stored = post(None, Some(&token)).await?;
    stored.expect(201)?;
    ensure!(
        stored.body["tenantId"] == "acme" && stored.body["identifiers"]["userId"] == "ann",
        "{}",
        stored.text
    );
    post(Some("acme"), None).await?.expect_problem(401, "UNAUTHENTICATED")?;
    post(Some("globex"), Some(&token))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    post(Some("acme"), Some("not.a.token"))
        .await?
        .expect_problem(401, "UNAUTHENTICATED")?;
    // Probes ask nobody for a token.
    send(service.request(Method::GET, "/ready")).await?.expect(200)?;
    ensure!(service.count_rows().await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_request_that_names_no_tenant_or_an_impossible_one_is_refused() -> Result<()> {
    let service = Service::start_on(Ground::new().await?, &["--auth-mode", "disabled"]).await?;
    let post = |tenant: Option<&[u8]>| {
        let mut request = service.request(Method::POST, "/api/v1/memories");
        if let Some(tenant) = tenant {
            request = request.header("X-Tenant-ID", tenant);
        }
        send(request.json(&json!({"content": "whose?", "layer": "team"})))
    };
    post(None).await?.expect_problem(400, "MISSING_TENANT")?;
    post(Some(b"")).await?.expect_problem(400, "INVALID_TENANT")?;
    post(Some(&[b'x'; 129])).await?.expect_problem(400, "INVALID_TENANT")?;
    post(Some(&[b'x', 0xff])).await?.expect_problem(400, "INVALID_UTF8")?;
    ensure!(service.count_rows().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_asks_too_often_is_told_to_wait() -> Result<()> {
    let options = ["--auth-mode", "disabled", "--rate-limit-per-second", "1"];
    let service = Service::start_on(Ground::new().await?, &options).await?;
    service.store("acme", "the first").await?;
    let mut refused = None;
    for _ in 0..5 {
        let answer = service
            .create("acme", &json!({"content": "the next", "layer": "team"}))
            .await?;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    refused
        .ok_or_else(|| anyhow::anyhow!("never refused"))?
        .expect_problem(429, "RATE_LIMITED")?;
    service.store("globex", "another tenant").await?;
    Ok(())
}
