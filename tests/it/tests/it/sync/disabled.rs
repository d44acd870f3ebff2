//! A service that is not set up for all that it may be asked for.

use std::sync::Arc;

use aeterna_kit::http::health::Readiness;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sync_service::secrets::Secrets;
use sync_service::source::Places;
use sync_service::state::State;
use sync_service::target::Services;
use sync_service::token::Tokens;
use sync_service::worker::drive;

use super::feed::feed;
use super::feed_faults::expect_error;
use super::jobs::to_knowledge;
use super::service::{Sync, directory, serve};
use crate::api::service::{Answer, send};

/// Returns the state of an instance that reaches no neighbour, reads no directory and has no secrets.
fn bare(sync: &Sync) -> Result<State> {
    let services = Services::new(Tokens::Open, None, None)?;
    let mut state = sync.state.clone();
    state.places = Arc::new(Places {
        directory_root: None,
        secrets: Secrets::new(None),
        services: services.clone(),
        ..Places::clone(&state.places)
    });
    state.services = services;
    Ok(state)
}

#[tokio::test]
async fn a_start_of_what_is_not_set_up_is_refused() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let mut state = bare(&sync)?;
    let url = serve(state.clone(), Readiness::default()).await?;
    for body in [directory(""), to_knowledge("")] {
        let answer = start_at(&url, &body).await?;
        answer.expect_problem(422, "TARGET_DISABLED")?;
        ensure!(answer.text.contains("/target/type"), "{}", answer.text);
    }
    // With its neighbours, and still without a directory and without secrets.
    state.services = sync.state.services.clone();
    let url = serve(state, Readiness::default()).await?;
    let mut secret = feed("https://example.com/feed");
    secret["source"]["config"]["secretRef"] = json!("token");
    for body in [directory(""), secret] {
        start_at(&url, &body).await?.expect_problem(422, "SOURCE_DISABLED")?;
    }
    Ok(())
}

/// Asks the instance at a URL for a job.
async fn start_at(url: &str, body: &Value) -> Result<Answer> {
    let request = reqwest::Client::new().post(format!("{url}/api/v1/sync/start"));
    send(request.header("X-Tenant-ID", "acme").json(body)).await
}

/// Drives a job on another instance than the one that took it; returns it as its caller sees it.
async fn run_on(sync: &Sync, state: &State, body: &Value) -> Result<Answer> {
    let started = sync.start_job("acme", body).await?;
    started.expect(202)?;
    drive(&state.context(), sync.claim().await?).await;
    sync.end_of("acme", started.id()?).await
}

#[tokio::test]
async fn a_job_that_meets_an_instance_that_is_not_set_up_says_what_is_missing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let bare = bare(&sync)?;
    expect_error(
        &run_on(&sync, &bare, &directory("")).await?,
        "config",
        "SOURCE_DISABLED",
    )?;
    let mut targetless = sync.state.clone();
    targetless.services = bare.services;
    expect_error(
        &run_on(&sync, &targetless, &directory("")).await?,
        "config",
        "TARGET_DISABLED",
    )?;
    expect_error(
        &run_on(&sync, &targetless, &to_knowledge("")).await?,
        "config",
        "TARGET_DISABLED",
    )?;
    let mut keyless = sync.state.clone();
    keyless.services = Services::new(Tokens::Keyless, Some(sync.knowledge.url()), Some(&sync.memory.url))?;
    expect_error(
        &run_on(&sync, &keyless, &directory("")).await?,
        "config",
        "TOKEN_KEY_MISSING",
    )?;
    ensure!(sync.memories("acme").await?.is_empty());
    Ok(())
}
