//! A job's status as a stream of events.

use std::time::Duration;

use aeterna_kit::ids::TenantId;
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::Value;

use super::jobs::to_knowledge;
use super::service::{Sync, directory};
use crate::api::service::send;

#[tokio::test]
async fn a_stream_tells_each_change_and_ends_with_the_job() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..70 {
        sync.write("acme", &format!("{n:02}.md"), format!("page {n}"))?;
    }
    sync.knowledge.close();
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    let request = sync
        .request(Method::GET, &format!("/api/v1/sync/status/{id}"))
        .header("X-Tenant-ID", "acme")
        .header("Accept", "text/event-stream");
    let response = request.send().await?;
    ensure!(response.headers()["content-type"] == "text/event-stream");
    sync.knowledge.open();
    let text = response.text().await?;
    let seen: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    ensure!(seen.len() >= 2, "{text}");
    ensure!(
        seen.last()
            .is_some_and(|job| job["status"] == "succeeded" && job["progress"]["added"] == 70),
        "{text}"
    );
    let counts: Vec<u64> = seen
        .iter()
        .filter_map(|job| job["progress"]["processed"].as_u64())
        .collect();
    ensure!(counts.is_sorted(), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn there_are_only_so_many_streams_at_once() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = sync.start_job("acme", &directory("")).await?.id()?;
    let path = format!("/api/v1/sync/status/{id}");
    let stream = || {
        let request = sync.request(Method::GET, &path).header("X-Tenant-ID", "acme");
        request.header("Accept", "text/event-stream")
    };
    let tenant = TenantId::parse("acme".to_owned())?;
    let mut others: Vec<_> = std::iter::from_fn(|| sync.state.streams.enter(&tenant)).collect();
    // A stream of another tenant still has a place.
    let foreign = TenantId::parse("globex".to_owned())?;
    ensure!(others.len() > 1 && sync.state.streams.enter(&foreign).is_some());
    others.pop();
    let last = stream().send().await?;
    ensure!(last.status() == 200);
    let refused = send(stream()).await?;
    refused.expect_problem(503, "UNAVAILABLE")?;
    ensure!(refused.headers.contains_key("retry-after"));
    sync.get("acme", &path).await?.expect(200)?;
    drop(others);
    ensure!(stream().send().await?.status() == 200);
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_when_the_process_is_about_to() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = sync.start_job("acme", &directory("")).await?.id()?;
    let request = sync
        .request(Method::GET, &format!("/api/v1/sync/status/{id}"))
        .header("X-Tenant-ID", "acme")
        .header("Accept", "text/event-stream");
    let response = request.send().await?;
    sync.state.leaving.send_replace(true);
    let text = tokio::time::timeout(Duration::from_secs(10), response.text()).await??;
    ensure!(text.contains("\"queued\""), "{text}");
    Ok(())
}
