//! The wiring: leadership, both controllers, and the end.

use std::sync::Arc;

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use aeterna_kit::http::health::{Need, Readiness, Scrape};
use aeterna_kit::http::observe;
use aeterna_kit::http::stack::{Stack, asked_to_end, serve};
use aeterna_plan::cluster::build::MANAGED_BY;
use axum::Router;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ListParams};
use kube::runtime::{Controller, watcher};
use kube::{Client, Config};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, OnceCell};

use crate::apply::Applier;
use crate::backoff::Backoff;
use crate::bounded::bounded;
use crate::events::Events;
use crate::lease::Leadership;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::status::Statuses;
use crate::{cluster, tenant};

/// Objects of one kind that are worked on at the same time.
const CONCURRENCY: u16 = 8;

/// Runs the operator until it is asked to end, or its Lease is lost.
///
/// # Errors
/// When the API server cannot be reached, the port is taken, or the Lease is lost.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    // The process has one TLS provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    operate(Config::infer().await?, observe::install("aeterna-operator")?, settings).await
}

/// Runs the operator against an API server; `recorder` is what `/metrics` shows.
///
/// # Errors
/// As [`run`].
pub async fn operate(mut config: Config, recorder: PrometheusHandle, settings: Settings) -> anyhow::Result<()> {
    // Passes have a deadline and a backoff of their own; a retry of minutes inside of one would hide both.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let asked = client.clone();
    let readiness = Readiness::default().with("definitions", Need::Required, move || {
        let api: Api<AeternaCluster> = Api::all(asked.clone());
        async move {
            api.list(&ListParams::default().limit(1))
                .await
                .map(|_| ())
                .map_err(|error| error.to_string())
        }
    });
    let stack = Stack {
        readiness: readiness.clone(),
        scrape: Scrape { recorder, pool: None },
        open_to_browsers: false,
    };
    let serving = serve(stack.wrap(Router::new()), settings.port, readiness, asked_to_end());
    let leadership = Leadership::new(client.clone(), &settings.lease_namespace, &settings.identity);
    let leading = async {
        leadership.acquire().await;
        tokio::select! {
            lost = leadership.keep() => Err(anyhow::Error::from(lost)),
            ended = control(client, &settings) => Err(ended),
        }
    };
    let outcome = tokio::select! {
        served = serving => served.map_err(anyhow::Error::from),
        led = leading => led,
    };
    leadership.release().await;
    outcome
}

/// Runs both controllers, until somebody else leads by the word of a database.
async fn control(client: Client, settings: &Settings) -> anyhow::Error {
    let registry = Arc::new(Registry::default());
    let identity = settings.identity.as_str();
    let clusters = Arc::new(cluster::Context {
        client: client.clone(),
        applier: Applier::new(client.clone(), cluster::MANAGER),
        events: Events::new(client.clone(), "aeterna-cluster", identity),
        statuses: Statuses::new(cluster::MANAGER),
        registry: Arc::clone(&registry),
        backoff: Backoff::default(),
        kubernetes: OnceCell::new(),
    });
    let namespace = settings.watch_namespace.as_deref();
    // Children say by a label whose they are; a watch without it would keep every Deployment of the cluster in memory.
    let ours = watcher::Config::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let options = || kube::runtime::controller::Config::default().concurrency(CONCURRENCY);
    let cluster_controller = Controller::new(scoped::<AeternaCluster>(&client, namespace), watcher::Config::default());
    let tenants = Arc::new(tenant::Context {
        client: client.clone(),
        events: Events::new(client.clone(), "aeterna-tenant", identity),
        statuses: Statuses::new(tenant::MANAGER),
        registry: Arc::clone(&registry),
        clusters: cluster_controller.store(),
        backoff: Backoff::default(),
    });
    let cluster_controller = cluster_controller
        .with_config(options())
        .owns(scoped::<Deployment>(&client, namespace), ours.clone())
        .owns(scoped::<Job>(&client, namespace), ours)
        .run(
            |object, context| {
                let object = context.statuses.freshen(object);
                let pass = cluster::reconcile(Arc::clone(&object), Arc::clone(&context));
                bounded("aeternacluster", pass, |late| cluster::tell_late(object, context, late))
            },
            cluster::retry,
            clusters,
        )
        .for_each(|_| std::future::ready(()));
    let tenant_controller = Controller::new(scoped::<TenantShard>(&client, namespace), watcher::Config::default())
        .with_config(options())
        .reconcile_all_on(repeated(registry.turned()))
        .run(
            |object, context| {
                let object = context.statuses.freshen(object);
                let pass = tenant::reconcile(Arc::clone(&object), Arc::clone(&context));
                bounded("tenantshard", pass, |late| tenant::tell_late(object, context, late))
            },
            tenant::retry,
            tenants,
        )
        .for_each(|_| std::future::ready(()));
    tokio::select! {
        _ = futures::future::join(cluster_controller, tenant_controller) => anyhow::anyhow!("the controllers have ended"),
        () = registry.deposed() => anyhow::anyhow!("the leader's term in a database is over: another operator leads"),
    }
}

/// Every telling, as a stream.
fn repeated(told: Arc<Notify>) -> impl Stream<Item = ()> + Send + 'static {
    futures::stream::unfold(told, |told| async move {
        told.notified().await;
        Some(((), told))
    })
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
