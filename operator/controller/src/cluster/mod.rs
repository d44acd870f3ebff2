//! The controller of AeternaClusters.
//!
//! A cluster is brought up in stages, each of which needs the ones before: database → schemas → vector store and shared
//! shards → services. A stage that is not reached says why, in its condition; the services are applied in any case, for
//! they serve what they can while a store is away.

mod act;
mod observe;
mod report;

use std::sync::Arc;
use std::time::Duration;

use aeterna_crds::v1alpha1::AeternaCluster;
use aeterna_kit::clock;
use aeterna_plan::cluster::Observed;
use aeterna_plan::cluster::build::build_children;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt as _};

use crate::apply::{self, Applier};
use crate::backoff::Backoff;
use crate::events::Events;
use crate::registry::Registry;

pub(crate) use act::{prepare_shard, store_trouble};

/// The field manager of children and status.
pub const MANAGER: &str = "aeterna-cluster";

/// A settled cluster is looked at this often: its database and its vector store send no events.
const SETTLED: Duration = Duration::from_secs(30);

/// One that waits for something outside of Kubernetes.
const WAITING: Duration = Duration::from_secs(3);

/// What the controller works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Applies children.
    pub applier: Applier,
    /// Tells of changes.
    pub events: Events,
    /// Clusters that are ready for tenants.
    pub registry: Arc<Registry>,
    /// How long failed objects wait.
    pub backoff: Backoff,
}

/// Why a pass could not be finished. Whatever the user can do about is no error but a condition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A child could not be applied.
    #[error(transparent)]
    Child(#[from] apply::Error),
    /// The API server does not answer, or refuses.
    #[error("cannot {operation}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Brings one cluster a step further.
///
/// # Errors
/// [`Error`]: tried again after a while.
pub async fn reconcile(cluster: Arc<AeternaCluster>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    if cluster.metadata.deletion_timestamp.is_some() {
        context.registry.forget(&namespace);
        return Ok(Action::await_change());
    }
    let wanted = build_children(&cluster);
    let stores = act::prepare_stores(&context, &cluster, &namespace).await?;
    // Before the first migration there is nothing that services could start on.
    let pods = if stores.migrated.is_ok() || stores.reached_once {
        act::apply_children(&context, &cluster, &namespace, &wanted).await?;
        observe::observe_pods(&context.client, &namespace, &wanted).await?
    } else {
        Vec::new()
    };
    let seen = Observed {
        database: stores.database,
        migrated: stores.migrated,
        vector_store: stores.vector_store,
        pods,
        shards: stores.shards,
    };
    let ready = report::report(&context, &cluster, &namespace, &seen, clock::now()).await?;
    context.backoff.forget(&namespace);
    Ok(Action::requeue(if ready { SETTLED } else { WAITING }))
}

/// What becomes of a pass that failed.
#[expect(clippy::needless_pass_by_value, reason = "the controller hands them over so")]
#[must_use]
pub fn retry(cluster: Arc<AeternaCluster>, error: &Error, context: Arc<Context>) -> Action {
    let wait = context.backoff.fail(&cluster.namespace().unwrap_or_default());
    tracing::warn!(error = %error, ?wait, "a pass over an AeternaCluster failed");
    metrics::counter!("controller_runtime_reconcile_errors_total", "controller" => "aeternacluster").increment(1);
    Action::requeue(wait)
}
