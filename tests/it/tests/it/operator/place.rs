//! A namespace of a test with what a cluster needs: a database, a vector store, the Secret.

use std::time::Duration;

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::migrate::record_release;
use aeterna_kit::service::Definition;
use aeterna_testkit::Postgres;
use aeterna_vectorstore::{Running, Server};
use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use super::world;
use crate::ground::MODEL;

/// How long a condition may take: a pass every 3 s while something is missing, and a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Two passes of the slowest pace that a fault has, and a little.
const QUIET: Duration = Duration::from_secs(7);

/// The release of the clusters.
pub const RELEASE: &str = "0.1.0";

/// The services of a release.
pub fn services() -> [Definition; 4] {
    [
        memory_service::definition(),
        knowledge_service::definition(),
        governance_service::definition(),
        sync_service::definition(),
    ]
}

pub struct Place {
    pub client: Client,
    pub namespace: String,
    pub database_url: String,
    /// The database's superuser.
    pub root: PgPool,
    pub store: Running,
    _dir: tempfile::TempDir,
}

/// The kinds whose conditions are waited for.
pub trait Conditioned:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + Serialize
    + std::fmt::Debug
{
    fn conditions(&self) -> Vec<Condition>;
}

impl Conditioned for AeternaCluster {
    fn conditions(&self) -> Vec<Condition> {
        self.status.clone().unwrap_or_default().conditions
    }
}

impl Conditioned for TenantShard {
    fn conditions(&self) -> Vec<Condition> {
        self.status.clone().unwrap_or_default().conditions
    }
}

impl Place {
    /// A namespace with an empty database.
    pub async fn new() -> Result<Self> {
        Self::on(Postgres::shared().await?).await
    }

    /// The same on a server that the test may stop.
    pub async fn on(server: &Postgres) -> Result<Self> {
        let client = world::connect_operated().await?;
        let namespace = format!("t{}", Uuid::new_v4().simple());
        let made: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &made)
            .await?;
        let database_url = server.fresh_database().await?;
        let limits = Limits::default();
        let root = connect_lazy(&server.superuser(&database_url), "tests-root", limits)?;
        let dir = tempfile::tempdir()?;
        let store = Server::open(dir.path())?.start().await?;
        Ok(Self {
            client,
            namespace,
            database_url,
            root,
            store,
            _dir: dir,
        })
    }

    /// Builds the schemas, as the migration Job does where there are nodes.
    pub async fn migrate(&self) -> Result<()> {
        let pool = connect_lazy(&self.database_url, "tests", Limits::default())?;
        for service in services() {
            for set in service.migrations {
                set.run(&pool).await?;
            }
            record_release(&pool, service.name, RELEASE).await?;
        }
        Ok(())
    }

    /// A place where the cluster is as ready as it gets without nodes.
    pub async fn with_cluster() -> Result<Self> {
        let place = Self::new().await?;
        place.migrate().await?;
        place.make_secret(&place.database_url).await?;
        place.make_cluster(json!({})).await?;
        place
            .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
            .await?;
        Ok(place)
    }

    pub fn api<K: Conditioned>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn make_secret(&self, url: &str) -> Result<()> {
        self.put_secret(&json!({"database-url": url})).await
    }

    pub async fn put_secret(&self, data: &Value) -> Result<()> {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aeterna-secrets"}, "stringData": data});
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PatchParams::apply("tests").force();
        api.patch("aeterna-secrets", &params, &Patch::Apply(&secret)).await?;
        Ok(())
    }

    /// Makes an AeternaCluster; `changes` is merged into its spec.
    pub async fn make_cluster(&self, changes: Value) -> Result<AeternaCluster> {
        let mut spec = json!({
            "release": {"version": RELEASE},
            "vectorStore": {"external": {"url": self.store.url()}},
            "auth": {"disabled": {}},
            "embedding": {"default": MODEL, "models": [{"name": MODEL, "openAICompatible": {
                "endpoint": "http://localhost/v1", "model": "any", "dimension": 16}}]},
        });
        merge(&mut spec, changes);
        let made: AeternaCluster = serde_json::from_value(json!({
            "apiVersion": "aeterna.dev/v1alpha1", "kind": "AeternaCluster", "metadata": {"name": "aeterna"}, "spec": spec}))?;
        Ok(self.api().create(&PostParams::default(), &made).await?)
    }

    /// Makes a TenantShard of the same name as its tenant.
    pub async fn make_tenant(&self, name: &str, spec: Value) -> Result<TenantShard> {
        let mut body = json!({"tenantId": name});
        merge(&mut body, spec);
        let made: TenantShard = serde_json::from_value(json!({
            "apiVersion": "aeterna.dev/v1alpha1", "kind": "TenantShard", "metadata": {"name": name}, "spec": body}))?;
        Ok(self.api().create(&PostParams::default(), &made).await?)
    }

    pub async fn change<K: Conditioned>(&self, name: &str, patch: Value) -> Result<()> {
        self.api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        Ok(())
    }

    pub async fn delete<K: Conditioned>(&self, name: &str) -> Result<()> {
        self.api::<K>().delete(name, &DeleteParams::default()).await?;
        let deadline = Instant::now() + LIMIT;
        while self.api::<K>().get_opt(name).await?.is_some() {
            ensure!(Instant::now() < deadline, "{name} is not gone within {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until something holds.
    pub async fn wait_until(&self, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !holds().await? {
            ensure!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until a condition of the object's newest generation has a reason.
    pub async fn wait<K: Conditioned>(&self, name: &str, kind: &str, reason: &str) -> Result<Condition> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let object = self.api::<K>().get_opt(name).await?;
            let conditions = object.as_ref().map(Conditioned::conditions).unwrap_or_default();
            let generation = object.as_ref().and_then(|object| object.meta().generation);
            let found = conditions
                .iter()
                .find(|condition| condition.type_ == kind && condition.observed_generation == generation);
            if let Some(found) = found.filter(|found| found.reason == reason) {
                return Ok(found.clone());
            }
            if Instant::now() > deadline {
                bail!("{kind} of {name} is not {reason} within {LIMIT:?}: {conditions:#?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for a fault to be told, and checks how: it stalls or not, one event tells it, and nothing is written again.
    pub async fn wait_fault<K: Conditioned>(
        &self,
        name: &str,
        kind: &str,
        reason: &str,
        stalls: bool,
    ) -> Result<Condition> {
        let told = self.wait::<K>(name, kind, reason).await?;
        ensure!(told.status == "False" && !told.message.is_empty(), "{told:?}");
        let stalled = self.wait::<K>(name, "Stalled", reason).await?;
        ensure!(stalled.status == if stalls { "True" } else { "False" }, "{stalled:?}");
        self.expect_quiet::<K>(name).await?;
        let events = self.count_events(reason).await?;
        ensure!(events == 1, "{events} events tell of {reason}");
        Ok(told)
    }

    /// Waits until an object is left alone for some passes; what is written on every pass never is.
    pub async fn expect_quiet<K: Conditioned>(&self, name: &str) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut known = self.api::<K>().get(name).await?.resource_version();
        let mut since = Instant::now();
        while since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.api::<K>().get(name).await?.resource_version();
            if now != known {
                ensure!(
                    now.is_some() && Instant::now() < deadline,
                    "{name} is written again and again"
                );
                (known, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Counts the events with a reason, repetitions included.
    pub async fn count_events(&self, reason: &str) -> Result<i32> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let listed = events.list(&ListParams::default()).await?;
        let of_reason = listed.iter().filter(|event| event.reason.as_deref() == Some(reason));
        Ok(of_reason
            .map(|event| event.series.as_ref().map_or(1, |series| series.count))
            .sum())
    }
}

/// Merges one JSON value into another, as RFC 7386 says.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
