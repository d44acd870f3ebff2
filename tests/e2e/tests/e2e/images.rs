//! What only a kubelet can tell: images that cannot be pulled, containers that end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::ground::{Ground, NAMESPACE};
use crate::kubectl::find_condition;

pub fn an_image_that_cannot_be_pulled_is_named_and_heals(ground: &Ground) -> Result<()> {
    ground.patch(
        "aeternacluster",
        "aeterna",
        &json!({"spec": {"release": {"version": "9.9.9"}}}),
    )?;
    let condition = ground.wait_reason("aeternacluster", "aeterna", "Ready", "ImagePullFailed")?;
    let message = condition["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains(":9.9.9"),
        "the message does not name the image: {message}"
    );
    heal(
        ground,
        &json!({"spec": {"release": {"version": "0.1.0"}}}),
        "ImagePullFailed",
    )
}

pub fn a_container_that_does_not_start_is_named_and_heals(ground: &Ground) -> Result<()> {
    let broken = json!({"spec": {"services": {"sync": {"env": {"DATABASE_MAX_CONNECTIONS": "many"}}}}});
    ground.patch("aeternacluster", "aeterna", &broken)?;
    let condition = ground.wait_reason("aeternacluster", "aeterna", "Ready", "CrashLooping")?;
    let message = condition["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains("sync-service"),
        "the message does not name the service: {message}"
    );
    heal(
        ground,
        &json!({"spec": {"services": {"sync": {"env": null}}}}),
        "CrashLooping",
    )
}

/// Takes the cause away; what was told once, was told once.
fn heal(ground: &Ground, patch: &serde_json::Value, reason: &str) -> Result<()> {
    let stalled = ground.get("aeternacluster", "aeterna")?;
    let stalled = find_condition(&stalled, "Stalled").context("no condition Stalled")?;
    ensure!(stalled["status"] == "True", "{stalled}");
    ground.patch("aeternacluster", "aeterna", patch)?;
    ground.wait_ready("aeternacluster", "aeterna", Duration::from_secs(120))?;
    let events = ground.list("events.events.k8s.io", NAMESPACE, "")?;
    let times = |event: &serde_json::Value| event["series"]["count"].as_i64().unwrap_or(1);
    let told: i64 = events.iter().filter(|event| event["reason"] == reason).map(times).sum();
    ensure!(told == 1, "{reason} was told {told} times");
    Ok(())
}
