//! `/health`, `/ready` and the OpenAPI document.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::Value;

use super::service::Sync;
use crate::api::service::send;

#[tokio::test]
async fn probes_answer_as_the_seed_says() -> Result<()> {
    let sync = Sync::start().await?;
    let health = send(sync.request(Method::GET, "/health")).await?;
    ensure!(health.status == 200 && health.text == "OK", "{}", health.text);
    let ready = send(sync.request(Method::GET, "/ready")).await?;
    ensure!(ready.status == 200 && ready.text == "READY", "{}", ready.text);
    Ok(())
}

/// `make gen` writes it anew.
#[tokio::test]
async fn the_document_that_is_served_is_the_one_in_the_repository() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let served = send(sync.request(Method::GET, "/api/v1/openapi.json")).await?;
    let kept: Value = serde_json::from_str(include_str!("../../../../../services/sync/openapi.json"))?;
    ensure!(
        served.body == kept,
        "services/sync/openapi.json is out of date: make gen"
    );
    Ok(())
}
