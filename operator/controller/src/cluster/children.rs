//! The Deployments and what belongs to them, and the Secrets that their pods name.

use aeterna_crds::v1alpha1::{AeternaCluster, Reason};
use aeterna_plan::cluster::KINDS;
use aeterna_plan::cluster::build::{
    Children, SECRETS_ANNOTATION, autoscaler_name, mark_secrets, named_secrets, secrets_of,
};
use aeterna_plan::report::Because;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::Api;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::secrets::Secrets;
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
    let mut secrets = Secrets::new(&context.client, namespace);
    let deployments = mark_deployments(context, namespace, &wanted.deployments, &mut secrets).await?;
    outcome = outcome.and(apply_all(context, namespace, &wanted.services).await?);
    outcome = outcome.and(apply_all(context, namespace, &deployments).await?);
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
        let found = secrets.fetch(from).await?;
        outcome = outcome.and(found.map(|_| ()));
    }
    Ok(outcome)
}

/// Marks each Deployment with what its pods read of Secrets. Where that cannot be told, the mark that it has stays: a Secret
/// that is away takes no pod down.
async fn mark_deployments(
    context: &Context,
    namespace: &str,
    wanted: &[Deployment],
    secrets: &mut Secrets<'_>,
) -> Result<Vec<Deployment>, Error> {
    let mut marked = wanted.to_vec();
    for deployment in &mut marked {
        let mark = match secrets.digest(&secrets_of(deployment)).await? {
            Some(digest) => Some(digest),
            None => fetch_mark(context, namespace, &deployment.name_any()).await?,
        };
        if let Some(mark) = mark {
            mark_secrets(deployment, mark);
        }
    }
    Ok(marked)
}

async fn fetch_mark(context: &Context, namespace: &str, name: &str) -> Result<Option<String>, Error> {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), namespace);
    let live = api.get_opt(name).await.map_err(|source| Error::Api {
        operation: "read a Deployment",
        source: Box::new(source),
    })?;
    let template = live.and_then(|live| live.spec).map(|spec| spec.template);
    let annotations = template.and_then(|template| template.metadata?.annotations);
    Ok(annotations.and_then(|mut annotations| annotations.remove(SECRETS_ANNOTATION)))
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
