//! The controller of TenantShards.
//!
//! The intent is written before anything is done about it: the tenant's owner and its move are rows in PostgreSQL, under
//! the leader's term, and a relocator does the rest. This controller follows: it polls a moving tenant's row, and writes
//! steps into the status at once, counters every ten seconds.

mod act;
mod delete;
mod observe;
mod owner;
mod report;

use std::sync::Arc;
use std::time::Duration;

use aeterna_crds::v1alpha1::{AeternaCluster, Reason, TenantShard};
use aeterna_kit::ids::TenantId;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::{Action as Wanted, Report, Serving, plan_next};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};

use crate::CLUSTER;
use crate::backoff::Backoff;
use crate::bounded::Late;
use crate::cluster::row_trouble;
use crate::events::Events;
use crate::registry::{Handle, Registry};
use crate::status::Statuses;

/// The field manager of the status.
pub const MANAGER: &str = "aeterna-tenant";

/// A tenant that is where it should be is looked at this often.
const SETTLED: Duration = Duration::from_secs(300);

/// A tenant that moves.
const MOVING: Duration = Duration::from_secs(1);

/// A tenant whose cluster this process has not looked at yet.
const SOON: Duration = Duration::from_secs(1);

/// A tenant whose last move is kept or cleaned, or that waits for its cluster.
const LINGERING: Duration = Duration::from_secs(5);

/// What the controller works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Tells of changes.
    pub events: Events,
    /// Writes statuses.
    pub statuses: Statuses<TenantShard>,
    /// Clusters that are ready for tenants.
    pub registry: Arc<Registry>,
    /// Clusters that are there.
    pub clusters: Store<AeternaCluster>,
    /// How long failed objects wait.
    pub backoff: Backoff,
}

/// How a namespace's cluster is.
enum Standing {
    /// Ready for tenants.
    Ready(Box<Handle>),
    /// It is there, and this process has not looked at it yet.
    NotSeenYet,
    /// It is there, and is not ready for tenants.
    NotReady,
    /// There is none.
    Absent,
}

impl Context {
    /// Returns how the cluster of a namespace is.
    async fn standing(&self, namespace: &str) -> Standing {
        if self.clusters.wait_until_ready().await.is_err() {
            return Standing::NotSeenYet;
        }
        let there = self.clusters.get(&ObjectRef::new(CLUSTER).within(namespace));
        let uid = there.as_ref().and_then(|cluster| cluster.uid());
        self.registry.forget_other(namespace, uid.as_deref());
        match (there, self.registry.get(namespace)) {
            (None, _) => Standing::Absent,
            (Some(_), Some(handle)) => Standing::Ready(Box::new(handle)),
            (Some(_), None) if self.registry.last_look(namespace).is_none() => Standing::NotSeenYet,
            (Some(_), None) => Standing::NotReady,
        }
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
    /// It took too long.
    #[error(transparent)]
    Late(#[from] Late),
}

/// Brings one tenant a step further.
///
/// # Errors
/// [`Error`]: tried again after a while.
pub async fn reconcile(object: Arc<TenantShard>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = object.namespace().unwrap_or_default();
    let standing = context.standing(&namespace).await;
    if object.metadata.deletion_timestamp.is_some() {
        return delete::clean_up(&context, &object, &standing).await;
    }
    delete::keep_finalizer(&context, &object).await?;
    let handle = match standing {
        Standing::Ready(handle) => handle,
        // What the status says is as good as it was when this process began.
        Standing::NotSeenYet => return Ok(Action::requeue(SOON)),
        Standing::NotReady | Standing::Absent => {
            let message = "the AeternaCluster of this namespace is not ready, or there is none";
            report::report_trouble(&context, &object, Because::new(Reason::ClusterNotReady, message)).await?;
            return Ok(Action::requeue(LINGERING));
        }
    };
    match advance(&context, &object, &handle).await {
        Ok((report, pace)) => {
            report::report(&context, &object, report).await?;
            context.backoff.forget(&report::key(&object));
            Ok(Action::requeue(pace))
        }
        Err(Error::Tenancy(error)) => {
            context.registry.hear(&namespace, &error);
            let because = row_trouble(&error);
            report::report_trouble(&context, &object, because).await?;
            Err(error.into())
        }
        Err(error) => Err(error),
    }
}

/// Observes, plans and acts; returns what to report and when to look again.
async fn advance(context: &Context, object: &TenantShard, handle: &Handle) -> Result<(Report, Duration), Error> {
    let tenant = match TenantId::parse(object.spec.tenant_id.clone()) {
        Ok(tenant) => tenant,
        Err(error) => {
            let trouble = Some(Because::new(Reason::TenantIdInvalid, format!("tenantId: {error}")));
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
        Wanted::Move(_) => act::begin_move(object, handle, &tenant, &seen.route.model, &placed).await?,
    };
    act::request_verification(object, handle, &tenant).await?;
    act::retire_unused(handle, &seen, &placed.wanted).await?;
    seen = observe::observe(handle, &tenant).await?;
    let mut report = observe::summarize(object, handle, &tenant, &placed.wanted, &seen, trouble).await?;
    report.serving = serving(context, object);
    let pace = report::pace(&report, &seen);
    Ok((report, pace))
}

/// Tells whether the stores serve: the database has just answered, of the vector store its cluster's last look knows.
fn serving(context: &Context, object: &TenantShard) -> Serving {
    let look = context.registry.last_look(&object.namespace().unwrap_or_default());
    match look.map(|look| look.vector_store) {
        Some(Err(because)) if because.reason == Reason::VectorStoreUnreachable => Serving::No(because),
        _ => Serving::Yes,
    }
}

/// Tells in the status that a pass took too long.
///
/// # Errors
/// [`Error::Api`] when that cannot be written either.
pub async fn tell_late(object: Arc<TenantShard>, context: Arc<Context>, late: Late) -> Result<(), Error> {
    let because = Because::new(Reason::PassTooLong, format!("{late}, and is tried again"));
    report::report_trouble(&context, &object, because).await
}

/// What becomes of a pass that failed.
#[expect(clippy::needless_pass_by_value, reason = "the controller hands them over so")]
#[must_use]
pub fn retry(object: Arc<TenantShard>, error: &Error, context: Arc<Context>) -> Action {
    // A database that comes back wakes its tenants.
    let wait = context.backoff.fail(&report::key(&object));
    tracing::warn!(tenant = object.spec.tenant_id, error = %error, ?wait, "a pass over a TenantShard failed");
    metrics::counter!("controller_runtime_reconcile_errors_total", "controller" => "tenantshard").increment(1);
    Action::requeue(wait)
}
