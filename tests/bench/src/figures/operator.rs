//! What the operator takes, with many TenantShards of one AeternaCluster.
//!
//! The operator is the release binary, against a real API server, database and vector store. Its memory is read from the
//! kernel; its passes from its own histogram, in two situations: while all TenantShards arrive at once, and when they have
//! settled and each is changed once, at a steady rate.

use std::time::{Duration, Instant};

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use aeterna_testkit::free_port;
use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::apiserver::ApiServer;
use crate::ground::Ground;
use crate::http::{Connection, render};
use crate::process::{Process, until};
use crate::scrape::{Histogram, histogram};
use crate::table::Row;

/// The namespace of the cluster.
const NAMESPACE: &str = "bench";

/// Objects that are made at the same time.
const AT_ONCE: usize = 16;

/// How long all TenantShards may take to be ready.
const LIMIT: Duration = Duration::from_secs(120);

/// Nothing happens for so long: then all has settled.
const QUIET: Duration = Duration::from_secs(5);

/// How long the settled operator is watched: a pass over the AeternaCluster, which is due every 30 s, is in it.
const WINDOW: Duration = Duration::from_secs(30);

/// Between two changes of the settled TenantShards: 20 a second.
const TICK: Duration = Duration::from_millis(50);

/// Measures the operator.
pub async fn measure(ground: &Ground, shards: usize) -> Result<Vec<Row>> {
    let server = ApiServer::start().await?;
    let client = server.connect().await?;
    let operator = Operator::start(ground, &server).await?;
    prepare(ground, &client, shards).await?;
    let started = Instant::now();
    make_tenants(&client, shards).await?;
    until("every TenantShard is ready", LIMIT, async || {
        tokio::time::sleep(Duration::from_millis(250)).await;
        Ok(count_ready(&client).await? == shards)
    })
    .await?;
    let ready = started.elapsed();
    let arrived = operator.settle().await?;
    let before = server.count_writes()?;
    tokio::time::sleep(WINDOW).await;
    let after = server.count_writes()?;
    let memory = operator.process.memory()?;
    change_tenants(&client, shards).await?;
    let changed = operator.settle().await?.since(&arrived);
    ensure!(changed.count() > 0.0, "no change was seen");
    let passes = |when: &str, seen: &Histogram| {
        let name = format!("operator, pass over a TenantShard, {when}, p99 of {:.0}", seen.count());
        Row::limit(name, seen.percentile(99.0) * 1_000.0, 50.0, "ms")
    };
    Ok(vec![
        Row::limit(
            format!("operator, RSS with {shards} TenantShards"),
            memory.resident,
            70.0,
            "MB",
        ),
        Row::told("  peak", format!("{:.1} MB", memory.peak), ""),
        passes("settled, 20 changed/s", &changed),
        passes("all arriving at once", &arrived),
        Row::told(
            "  until all of them are ready",
            format!("{:.1} s", ready.as_secs_f64()),
            "",
        ),
        Row::told(
            format!("  API writes in {} s, settled (and of Leases)", WINDOW.as_secs()),
            format!("{:.0} ({:.0})", after.1 - before.1, after.0 - before.0),
            "",
        ),
    ])
}

/// The running operator.
struct Operator {
    process: Process,
    port: u16,
}

impl Operator {
    async fn start(ground: &Ground, server: &ApiServer) -> Result<Self> {
        let port = free_port()?;
        let variables = [
            ("KUBECONFIG", server.kubeconfig()?),
            ("PORT", &port.to_string()),
            ("POD_NAMESPACE", "default"),
            ("POD_NAME", "bench"),
        ];
        let mut process = Process::start(&ground.dir(), "aeterna-operator", &[], &variables)?;
        process.wait_for_port(port).await?;
        Ok(Self { process, port })
    }

    /// Waits until no pass over a TenantShard has ended for a while; returns all passes so far.
    async fn settle(&self) -> Result<Histogram> {
        let mut known = (self.passes().await?, Instant::now());
        until("the operator has settled", LIMIT, async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.passes().await?;
            if now != known.0 {
                known = (now, Instant::now());
            }
            Ok(known.1.elapsed() >= QUIET)
        })
        .await?;
        Ok(known.0)
    }

    async fn passes(&self) -> Result<Histogram> {
        let mut connection = Connection::open(self.port).await?;
        let answer = connection.ask(&render("GET", "/metrics", "", "")).await?;
        let metric = "controller_runtime_reconcile_time_seconds";
        Ok(histogram(answer.body, metric, ("controller", "tenantshard")))
    }
}

/// Makes the namespace, the Secret and an AeternaCluster with room for all.
async fn prepare(ground: &Ground, client: &Client, shards: usize) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    create(&namespaces, json!({"metadata": {"name": NAMESPACE}})).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let data = json!({"database-url": ground.database_url});
    create(
        &secrets,
        json!({"metadata": {"name": "aeterna-secrets"}, "stringData": data}),
    )
    .await?;
    let clusters: Api<AeternaCluster> = Api::namespaced(client.clone(), NAMESPACE);
    let spec = json!({
        "release": {"version": "0.1.0"},
        "vectorStore": {"external": {"url": ground.store_url}},
        "auth": {"disabled": {}},
        "sharding": {"sharedShards": [{"name": "shared-shard-1", "capacity": shards}]},
    });
    create(&clusters, json!({"metadata": {"name": "aeterna"}, "spec": spec})).await?;
    until("the stores are ready", LIMIT, async || {
        let status = clusters.get("aeterna").await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        Ok(conditions.any(|condition| condition.type_ == "VectorStoreReady" && condition.status == "True"))
    })
    .await
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object)?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn name(number: usize) -> String {
    format!("tenant-{number:04}")
}

fn tenants(client: &Client) -> Api<TenantShard> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn make_tenants(client: &Client, shards: usize) -> Result<()> {
    let api = tenants(client);
    let made = futures::stream::iter(0..shards).map(|number| {
        let (api, name) = (api.clone(), name(number));
        async move {
            let body = json!({"apiVersion": "aeterna.dev/v1alpha1", "kind": "TenantShard",
                "metadata": {"name": name}, "spec": {"tenantId": name}});
            create(&api, body).await
        }
    });
    made.buffer_unordered(AT_ONCE).try_collect().await
}

async fn count_ready(client: &Client) -> Result<usize> {
    // From the server's cache: a look must cost next to nothing.
    let listed = tenants(client).list(&ListParams::default().match_any()).await?;
    let ready = listed.iter().filter(|tenant| {
        let mut conditions = tenant.status.iter().flat_map(|status| &status.conditions);
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    });
    Ok(ready.count())
}

/// Changes every TenantShard once, in a part of its spec that moves nothing.
async fn change_tenants(client: &Client, shards: usize) -> Result<()> {
    let api = tenants(client);
    let mut tick = tokio::time::interval(TICK);
    for number in 0..shards {
        tick.tick().await;
        let change = json!({"spec": {"move": {"retentionSeconds": 60}}});
        api.patch(&name(number), &PatchParams::default(), &Patch::Merge(&change))
            .await?;
    }
    Ok(())
}
