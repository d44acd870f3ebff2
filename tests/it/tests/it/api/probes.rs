//! `/health`, `/ready`, `/metrics` and the OpenAPI document.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::Value;

use super::service::{Service, send};
use crate::ground::Ground;

#[tokio::test]
async fn probes_answer_as_the_seed_says() -> Result<()> {
    let service = Service::start().await?;
    let health = send(service.request(Method::GET, "/health")).await?;
    ensure!(health.status == 200 && health.text == "OK", "{}", health.text);
    let ready = send(service.request(Method::GET, "/ready")).await?;
    ensure!(ready.status == 200 && ready.text == "READY", "{}", ready.text);
    Ok(())
}

#[tokio::test]
async fn what_is_looked_at_for_readiness_is_what_the_service_was_given() -> Result<()> {
    let names = async |options: &[&str]| {
        let service = Service::start_on(Ground::new().await?, options).await?;
        let verbose = send(service.request(Method::GET, "/ready?verbose")).await?;
        let checks = verbose.body["checks"].as_array().into_iter().flatten();
        let names = checks.filter_map(|check| Some(check["name"].as_str()?.to_owned()));
        anyhow::Ok(names.collect::<Vec<String>>())
    };
    let bare = ["--auth-mode", "disabled"];
    ensure!(names(&bare).await? == ["database"]);
    // Nobody listens there; that is what the check is for.
    let cached = [&bare[..], &["--redis-url", "redis://127.0.0.1:1"]].concat();
    ensure!(names(&cached).await? == ["database", "cache"]);
    Ok(())
}

#[tokio::test]
async fn the_seeds_metrics_are_there() -> Result<()> {
    let service = Service::start().await?;
    service.store("acme", "measured").await?;
    send(service.request(Method::GET, "/api/v1/nowhere/at/all"))
        .await?
        .expect(404)?;
    let metrics = send(service.request(Method::GET, "/metrics")).await?.text;
    for name in [
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        "database_connections_active",
        "database_query_duration_seconds_bucket",
        "cache_hits_total",
        "cache_misses_total",
    ] {
        ensure!(
            metrics.contains(&format!("{name}{{service=\"memory-service\"")),
            "no {name} in {metrics}"
        );
    }
    ensure!(
        metrics.contains(r#"endpoint="POST /api/v1/memories",status="201""#),
        "{metrics}"
    );
    ensure!(
        metrics.contains(r#"endpoint="unmatched",status="404""#) && !metrics.contains("nowhere"),
        "{metrics}"
    );
    Ok(())
}

/// `make gen` writes it anew.
#[tokio::test]
async fn the_document_that_is_served_is_the_one_in_the_repository() -> Result<()> {
    let service = Service::start().await?;
    let served = send(service.request(Method::GET, "/api/v1/openapi.json")).await?;
    let kept: Value = serde_json::from_str(include_str!("../../../../../services/memory/openapi.json"))?;
    ensure!(
        served.body == kept,
        "services/memory/openapi.json is out of date: make gen"
    );
    let paths: Vec<&String> = kept["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, _)| path)
        .collect();
    ensure!(paths.len() == 4, "{paths:?}");
    Ok(())
}
