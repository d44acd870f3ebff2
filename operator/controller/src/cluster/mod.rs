//! The controller of AeternaClusters.
//!
//! A cluster is brought up in stages, each of which needs the ones before: database → schemas → vector store and shared
//! shards → services. A stage that is not reached says why, in its condition; the services are applied in any case, for
//! they serve what they can while a store is away.

mod act;
mod children;
mod database;
mod observe;
mod report;
mod secrets;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use aeterna_crds::v1alpha1::{AeternaCluster, Reason};
use aeterna_kit::clock;
use aeterna_plan::cluster::Observed;
use aeterna_plan::cluster::build::build_children;
use aeterna_plan::report::Because;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::apply::{self, Applier};
use crate::backoff::Backoff;
use crate::bounded::Late;
use crate::events::Events;
use crate::registry::Registry;
use crate::status::Statuses;

pub(crate) use vectors::{build as build_shard, drop_retired, row_trouble, store_trouble};

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
    /// Writes statuses.
    pub statuses: Statuses<AeternaCluster>,
    /// Clusters that are ready for tenants.
    pub registry: Arc<Registry>,
    /// How long failed objects wait.
    pub backoff: Backoff,
    /// Which Kubernetes this is, once that was read.
    pub kubernetes: OnceCell<Uuid>,
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
    /// It took too long.
    #[error(transparent)]
    Late(#[from] Late),
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
    let (children, pods) = if stores.migrated.is_ok() || stores.reached_once {
        let children = children::apply_children(&context, &cluster, &namespace, &wanted).await?;
        (
            children,
            observe::observe_pods(&context.client, &namespace, &wanted).await?,
        )
    } else {
        (Ok(()), Vec::new())
    };
    let seen = Observed {
        database: stores.database,
        migrated: stores.migrated,
        vector_store: stores.vector_store,
        children,
        pods,
        shards: stores.shards,
    };
    let ready = report::report(&context, &cluster, &seen, clock::now()).await?;
    context.backoff.forget(&namespace);
    Ok(Action::requeue(if ready { SETTLED } else { WAITING }))
}

/// Tells in the status that a pass took too long.
///
/// # Errors
/// [`Error::Api`] when that cannot be written either.
pub async fn tell_late(cluster: Arc<AeternaCluster>, context: Arc<Context>, late: Late) -> Result<(), Error> {
    let because = Because::new(Reason::PassTooLong, format!("{late}, and is tried again"));
    report::report_interrupted(&context, &cluster, &because, clock::now()).await
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
