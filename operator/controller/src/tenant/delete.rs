//! The end of a TenantShard: what its policy asks for is done before it is let go, but nobody waits for it forever.

use aeterna_crds::FINALIZER;
use aeterna_crds::v1alpha1::{DeletionPolicy, TenantShard};
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_tenancy::{moves, routes};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use uuid::Uuid;

use super::{Context, Error, SOON, Standing, report};
use crate::registry::Handle;

/// How long a deletion waits for the stores.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Puts the finalizer on when deleting has something to clean, and takes it off when it has not.
pub(super) async fn keep_finalizer(context: &Context, object: &TenantShard) -> Result<(), Error> {
    if needs_finalizer(object) == has_finalizer(object) {
        return Ok(());
    }
    let mut finalizers: Vec<String> = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if needs_finalizer(object) {
        finalizers.push(FINALIZER.to_owned());
    }
    write_finalizers(context, object, &finalizers).await
}

async fn write_finalizers(context: &Context, object: &TenantShard, finalizers: &[String]) -> Result<(), Error> {
    let api: Api<TenantShard> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    // The version makes it a compare-and-set: nobody else's finalizer is lost.
    let body = json!({"metadata": {
        "finalizers": finalizers, "resourceVersion": object.resource_version() }});
    match api
        .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&body))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(source) => Err(Error::Api {
            operation: "write the finalizers",
            source: Box::new(source),
        }),
    }
}

/// Does what the deletion policy asks for, and lets the object go. Where that cannot be done, it is tried again for a
/// minute; without a cluster, and in a namespace that goes, it is let go at once. An event says what remains.
pub(super) async fn clean_up(context: &Context, object: &TenantShard, standing: &Standing) -> Result<Action, Error> {
    if has_finalizer(object) && needs_finalizer(object) {
        let undone = match standing {
            Standing::Ready(handle) => release(object, handle).await.err().map(|error| {
                context.registry.hear(&object.namespace().unwrap_or_default(), &error);
                error.to_string()
            }),
            Standing::NotSeenYet | Standing::NotReady => Some("the AeternaCluster is not ready".to_owned()),
            Standing::Absent => Some("there is no AeternaCluster".to_owned()),
        };
        if let Some(why) = undone {
            let ends =
                matches!(standing, Standing::Absent) || is_overdue(object) || is_namespace_going(context, object).await;
            if !ends {
                tracing::info!(tenant = object.spec.tenant_id, why, "a deletion waits");
                return Ok(Action::requeue(SOON));
            }
            tell_remains(context, object, &why).await;
        }
    }
    let_go(context, object).await?;
    context.backoff.forget(&report::key(object));
    Ok(Action::await_change())
}

/// Cancels what has not switched, and lets go of the tenant.
async fn release(object: &TenantShard, handle: &Handle) -> Result<(), aeterna_tenancy::Error> {
    let Ok(tenant) = TenantId::parse(object.spec.tenant_id.clone()) else {
        return Ok(());
    };
    let uid = object
        .uid()
        .and_then(|uid| Uuid::parse_str(&uid).ok())
        .unwrap_or_default();
    let route = routes::fetch_route(&handle.pool, &tenant).await?;
    if route.and_then(|route| route.owner_uid) != Some(uid) {
        return Ok(());
    }
    let running = moves::fetch_moves(&handle.pool, &tenant, 1).await?;
    if let Some(moving) = running.first().filter(|moving| moving.progress.step.is_before_retain()) {
        moves::cancel(&handle.pool, handle.term, moving.move_id).await?;
    }
    routes::release_tenant(&handle.pool, handle.term, &tenant, uid).await
}

fn is_overdue(object: &TenantShard) -> bool {
    let asked = object.metadata.deletion_timestamp.as_ref();
    asked.is_some_and(|asked| clock::now().duration_since(asked.0) >= PATIENCE)
}

/// Tells whether the namespace is being deleted. Who may not know it waits.
async fn is_namespace_going(context: &Context, object: &TenantShard) -> bool {
    let api: Api<Namespace> = Api::all(context.client.clone());
    let found = api.get_opt(&object.namespace().unwrap_or_default()).await;
    found.is_ok_and(|found| found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

async fn tell_remains(context: &Context, object: &TenantShard, why: &str) {
    let message = format!(
        "{why}: the database may still name this TenantShard as the owner of {}, and a move of it may go on; the next \
         TenantShard with this tenantId takes both over",
        object.spec.tenant_id
    );
    tracing::warn!(tenant = object.spec.tenant_id, message, "a TenantShard is let go");
    context
        .events
        .publish(&object.object_ref(&()), EventType::Warning, "NotReleased", &message)
        .await;
}

/// Takes the finalizer off.
async fn let_go(context: &Context, object: &TenantShard) -> Result<(), Error> {
    if !has_finalizer(object) {
        return Ok(());
    }
    let mut finalizers: Vec<String> = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    write_finalizers(context, object, &finalizers).await
}

/// Tells whether deleting the object has something to clean.
fn needs_finalizer(object: &TenantShard) -> bool {
    object.spec.deletion_policy != DeletionPolicy::Retain
}

/// Tells whether the object carries our finalizer.
fn has_finalizer(object: &TenantShard) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}
