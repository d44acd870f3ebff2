//! Two operators, one Lease.

use std::time::{Duration, Instant};

use aeterna_operator::run::operate;
use aeterna_operator::settings::Settings;
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, PostParams};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::world;

async fn start(namespace: &str, identity: &str) -> Result<JoinHandle<Result<()>>> {
    let settings = Settings {
        watch_namespace: Some(namespace.to_owned()),
        lease_namespace: namespace.to_owned(),
        identity: identity.to_owned(),
        port: 0,
    };
    let recorder = PrometheusBuilder::new().build_recorder().handle();
    Ok(tokio::spawn(operate(world::config().await?, recorder, settings)))
}

async fn holder(client: &Client, namespace: &str) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let lease = leases.get_opt("aeterna-operator").await?;
    Ok(lease
        .and_then(|lease| lease.spec?.holder_identity)
        .filter(|holder| !holder.is_empty()))
}

async fn wait_for_holder(client: &Client, namespace: &str, wanted: &str, limit: Duration) -> Result<Duration> {
    let started = Instant::now();
    while holder(client, namespace).await?.as_deref() != Some(wanted) {
        ensure!(started.elapsed() < limit, "{wanted} does not lead within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(started.elapsed())
}

#[tokio::test]
async fn a_leader_that_dies_is_followed_after_its_lease_and_one_that_loses_it_ends() -> Result<()> {
    let client = world::connect().await?;
    let namespace = format!("lease-{}", Uuid::new_v4().simple());
    let made: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &made)
        .await?;

    let first = start(&namespace, "first").await?;
    wait_for_holder(&client, &namespace, "first", Duration::from_secs(20)).await?;
    let second = start(&namespace, "second").await?;
    // Dropped where it stands: nothing is given back.
    first.abort();
    let waited = wait_for_holder(&client, &namespace, "second", Duration::from_secs(40)).await?;
    ensure!(
        waited > Duration::from_secs(8),
        "the Lease of the dead was not waited for: {waited:?}"
    );

    // Somebody takes it away: the second must end, for the thief works now.
    let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
    let mut lease = leases.get("aeterna-operator").await?;
    lease.spec.as_mut().context("a spec")?.holder_identity = Some("thief".to_owned());
    leases
        .replace("aeterna-operator", &PostParams::default(), &lease)
        .await?;
    let ended = tokio::time::timeout(Duration::from_secs(20), second)
        .await
        .context("the second goes on")??;
    let error = ended.err().context("it ended as if all were well")?;
    ensure!(error.to_string().contains("lost"), "{error:#}");
    ensure!(
        holder(&client, &namespace).await?.as_deref() == Some("thief"),
        "the thief's Lease was given back"
    );
    Ok(())
}
