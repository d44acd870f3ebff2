//! After convergence the API server has nothing to write for us, whatever the tenants do.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::ground::{Ground, wait};

/// How long the API server is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// A kind of write: verb, resource, subresource.
type Counts = BTreeMap<String, u64>;

pub fn after_convergence_nothing_is_written_but_leases(ground: &Ground) -> Result<()> {
    wait("the last move is cleaned up", Duration::from_secs(90), || {
        Ok(ground.get("tenantshard", "large-corp")?["status"]["move"]
            .is_null()
            .then_some(()))
    })?;
    // Whether load scales the service is not the question here.
    let pods = |min: u8, max: u8| json!({"spec": {"services": {"memory": {"autoscaling": {"min": min, "max": max}}}}});
    ground.patch("aeternacluster", "aeterna", &pods(2, 2))?;
    ground.wait_ready("aeternacluster", "aeterna", Duration::from_secs(120))?;
    let load = ground.begin_load("acme", 50)?;
    wait("writes are acknowledged", Duration::from_secs(10), || {
        Ok((load.acknowledged() > 100).then_some(()))
    })?;
    let before = count(ground)?;
    std::thread::sleep(WATCHED);
    let after = count(ground)?;
    ground.end_load(load)?;
    let written = after.into_iter().filter_map(|(what, now)| {
        let times = now - before.get(&what).copied().unwrap_or_default();
        (times > 0).then_some((what, times))
    });
    let written: Counts = written.collect();
    for (what, times) in &written {
        println!("    {times} × {what}");
        ensure!(*times <= allowed(what), "{times} × {what}");
    }
    ensure!(
        written.contains_key("PUT coordination.k8s.io leases "),
        "not even a lease was counted"
    );
    Ok(())
}

/// How often something may be written in the time watched.
fn allowed(what: &str) -> u64 {
    match what {
        // Kubernetes' own: leases of its components, a node's heartbeat, what the autoscaler measured.
        "PUT coordination.k8s.io leases " | "PUT autoscaling horizontalpodautoscalers status" => u64::MAX,
        "PATCH  nodes status" => 2,
        // Questions, although they are posted.
        _ if what.starts_with("POST authentication.k8s.io ") || what.starts_with("POST authorization.k8s.io ") => {
            u64::MAX
        }
        // At most one an object.
        "APPLY aeterna.dev aeternaclusters status" => 1,
        "APPLY aeterna.dev tenantshards status" => 3,
        _ => 0,
    }
}

/// Counts the API server's writes so far.
fn count(ground: &Ground) -> Result<Counts> {
    let metrics = ground.kubectl(&["get", "--raw", "/metrics"])?;
    let mut counts = Counts::new();
    for line in metrics.lines() {
        let Some((labels, number)) = line
            .strip_prefix("apiserver_request_total{")
            .and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let from = labels.split_once(&format!("{name}=\"")).map(|(_, rest)| rest);
            from.and_then(|rest| rest.split('"').next()).unwrap_or_default()
        };
        if ["POST", "PUT", "PATCH", "APPLY", "DELETE"].contains(&label("verb")) {
            let what = format!(
                "{} {} {} {}",
                label("verb"),
                label("group"),
                label("resource"),
                label("subresource")
            );
            *counts.entry(what).or_default() += number
                .trim()
                .parse::<f64>()
                .context("a count")?
                .to_string()
                .parse::<u64>()?;
        }
    }
    ensure!(!counts.is_empty(), "the API server counts nothing");
    Ok(counts)
}
