//! The Deployments and what belongs to them, and the Secrets that their pods name.

use aeterna_crds::v1alpha1::{AeternaCluster, Reason};
use aeterna_plan::cluster::KINDS;
use aeterna_plan::cluster::build::{Children, autoscaler_name, named_secrets};
use aeterna_plan::report::Because;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::observe::fetch_secret;
use super::{Context, Error};

/// Applies all children, and removes the autoscalers that are no longer asked for. One that is refused holds no other up;
/// returns the first refusal, or the first Secret that the pods cannot have.
pub(super) async fn apply_children(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    wanted: &Children,
) -> Result<Result<(), Because>, Error> {
    let mut outcome = Ok(());
    outcome = outcome.and(apply_all(context, namespace, &wanted.services).await?);
    outcome = outcome.and(apply_all(context, namespace, &wanted.deployments).await?);
    outcome = outcome.and(apply_all(context, namespace, &wanted.autoscalers).await?);
    outcome = outcome.and(apply_all(context, namespace, &wanted.budgets).await?);
    let uid = cluster.uid().unwrap_or_default();
    for name in KINDS.map(autoscaler_name) {
        if !wanted.autoscalers.iter().any(|child| child.name_any() == name) {
            let removed = context
                .applier
                .remove::<HorizontalPodAutoscaler>(namespace, &name, &uid)
                .await;
            outcome = outcome.and(refused(removed)?);
        }
    }
    for from in named_secrets(&cluster.spec) {
        let found = fetch_secret(&context.client, namespace, from).await?;
        outcome = outcome.and(found.map(|_| ()));
    }
    Ok(outcome)
}

async fn apply_all<K>(context: &Context, namespace: &str, children: &[K]) -> Result<Result<(), Because>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let mut outcome = Ok(());
    for child in children {
        let applied = context.applier.apply(namespace, child).await;
        outcome = outcome.and(refused(applied)?.map(|_| ()));
    }
    Ok(outcome)
}

/// Tells a refusal, which only the user can help, from a failure.
pub(super) fn refused<T>(done: Result<T, crate::apply::Error>) -> Result<Result<T, Because>, Error> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) => match error.refusal() {
            Some(message) => Ok(Err(Because::new(Reason::ChildRefused, message))),
            None => Err(error.into()),
        },
    }
}
