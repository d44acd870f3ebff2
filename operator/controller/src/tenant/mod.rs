//! The controller of TenantShards.
//!
//! The intent is written before anything is done about it: the tenant's owner and its move are rows in PostgreSQL, under
//! the leader's term, and a relocator does the rest. This controller follows: it polls a moving tenant's row, and writes
//! steps into the status at once, counters every ten seconds.

mod act;
mod observe;
mod owner;
mod report;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aeterna_crds::FINALIZER;
use aeterna_crds::v1alpha1::{AeternaCluster, DeletionPolicy, Reason, TenantShard};
use aeterna_kit::ids::TenantId;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::{Action as Wanted, Report, plan_next};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::events::Events;
use crate::registry::{Handle, Registry};

/// The field manager of the status.
pub const MANAGER: &str = "aeterna-tenant";

/// The name that every AeternaCluster has.
const CLUSTER: &str = "aeterna";

/// A tenant that is where it should be is looked at this often.
const SETTLED: Duration = Duration::from_secs(300);

/// A tenant that moves.
const MOVING: Duration = Duration::from_secs(1);

/// A tenant whose last move is kept or cleaned, or that waits for its cluster.
const LINGERING: Duration = Duration::from_secs(5);

/// What the controller works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Tells of changes.
    pub events: Events,
    /// Clusters that are ready for tenants.
    pub registry: Arc<Registry>,
    /// Clusters that are there.
    pub clusters: Store<AeternaCluster>,
    /// How long failed objects wait.
    pub backoff: Backoff,
    /// When each object's counters were written last.
    pub written: Mutex<HashMap<String, Instant>>,
}

impl Context {
    /// Returns the cluster of a namespace, if it is there and ready for tenants.
    fn handle(&self, namespace: &str) -> Option<Handle> {
        let there = self.clusters.get(&ObjectRef::new(CLUSTER).within(namespace));
        self.registry
            .forget_other(namespace, there.and_then(|cluster| cluster.uid()).as_deref());
        self.registry.get(namespace)
    }
}

/// Why a pass could not be finished. Whatever the user can do about is no error but a condition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server does not answer, or refuses.
    #[error("cannot {operation}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The database does not answer, or refuses.
    #[error(transparent)]
    Tenancy(#[from] aeterna_tenancy::Error),
}

/// Brings one tenant a step further.
///
/// # Errors
/// [`Error`]: tried again after a while.
pub async fn reconcile(object: Arc<TenantShard>, context: Arc<Context>) -> Result<Action, Error> {
    let key = report::key(&object);
    let handle = context.handle(&object.namespace().unwrap_or_default());
    if object.metadata.deletion_timestamp.is_some() {
        act::clean_up(&context, &object, handle.as_ref()).await?;
        context.backoff.forget(&key);
        return Ok(Action::await_change());
    }
    act::keep_finalizer(&context, &object).await?;
    let Some(handle) = handle else {
        let message = "the AeternaCluster of this namespace is not ready, or there is none";
        let waiting = Report {
            trouble: Some(Because::new(Reason::ClusterNotReady, message)),
            ..report::last_known(&object)
        };
        report::report(&context, &object, waiting).await?;
        return Ok(Action::requeue(LINGERING));
    };
    let (report, pace) = advance(&context, &object, &handle).await?;
    report::report(&context, &object, report).await?;
    context.backoff.forget(&key);
    Ok(Action::requeue(pace))
}

/// Observes, plans and acts; returns what to report and when to look again.
async fn advance(context: &Context, object: &TenantShard, handle: &Handle) -> Result<(Report, Duration), Error> {
    let tenant = match TenantId::parse(object.spec.tenant_id.clone()) {
        Ok(tenant) => tenant,
        Err(error) => {
            let trouble = Some(Because::new(Reason::TenantIdConflict, format!("tenantId: {error}")));
            return Ok((
                Report {
                    trouble,
                    ..Report::default()
                },
                SETTLED,
            ));
        }
    };
    let placed = match act::ensure_registered(context, object, handle, &tenant).await? {
        Ok(placed) => placed,
        Err(because) => {
            let report = Report {
                trouble: Some(because),
                ..report::last_known(object)
            };
            return Ok((report, LINGERING));
        }
    };
    let mut seen = observe::observe(handle, &tenant).await?;
    let trouble = match plan_next(&placed.wanted, &seen.view) {
        Wanted::Nothing | Wanted::Follow => None,
        Wanted::Cancel(id) => act::cancel(handle, &id).await?,
        Wanted::Move(_) => act::begin_move(object, handle, &tenant, &placed).await?,
    };
    act::request_verification(object, handle, &tenant).await?;
    act::retire_unused(handle, &seen, &placed.wanted).await?;
    seen = observe::observe(handle, &tenant).await?;
    let report = observe::summarize(object, handle, &tenant, &placed.wanted, &seen, trouble).await?;
    let pace = report::pace(&report, &seen);
    Ok((report, pace))
}

/// What becomes of a pass that failed.
#[expect(clippy::needless_pass_by_value, reason = "the controller hands them over so")]
#[must_use]
pub fn retry(object: Arc<TenantShard>, error: &Error, context: Arc<Context>) -> Action {
    let wait = context.backoff.fail(&report::key(&object));
    tracing::warn!(tenant = object.spec.tenant_id, error = %error, ?wait, "a pass over a TenantShard failed");
    metrics::counter!("controller_runtime_reconcile_errors_total", "controller" => "tenantshard").increment(1);
    Action::requeue(wait)
}

/// Tells whether deleting the object has something to clean.
fn needs_finalizer(object: &TenantShard) -> bool {
    object.spec.deletion_policy != DeletionPolicy::Retain
}

/// Tells whether the object carries our finalizer.
fn has_finalizer(object: &TenantShard) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}
