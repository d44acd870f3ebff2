//! The children of an AeternaCluster, one file a child.

mod autoscaler;
mod budget;
mod deployment;
mod environment;
mod migration;
mod mounts;
mod pod;
mod relocator;
mod secrets;
mod service;

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{KINDS, ServiceKind};

pub use environment::named_secrets;
pub use migration::build_migration;
pub use secrets::{SECRETS_ANNOTATION, mark_secrets, secrets_of};

/// The label that all children carry; watches select by it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "aeterna");

/// The name of the relocator's Deployment.
pub const RELOCATOR: &str = "aeterna-relocator";

/// What a cluster consists of, besides the migration Job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Children {
    /// The four services and the relocator.
    pub deployments: Vec<Deployment>,
    /// Their Services.
    pub services: Vec<Service>,
    /// Their autoscalers.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// Their disruption budgets.
    pub budgets: Vec<PodDisruptionBudget>,
}

/// Builds all children of a cluster.
#[must_use]
pub fn build_children(cluster: &AeternaCluster) -> Children {
    let mut children = Children::default();
    for kind in KINDS {
        children.deployments.push(deployment::build_deployment(cluster, kind));
        children.services.push(service::build_service(cluster, kind));
        children.autoscalers.extend(autoscaler::build_autoscaler(cluster, kind));
        children.budgets.push(budget::build_budget(cluster, kind));
    }
    children.deployments.push(relocator::build_relocator(cluster));
    children
}

/// Names an autoscaler.
#[must_use]
pub fn autoscaler_name(kind: ServiceKind) -> String {
    format!("{}-hpa", kind.name())
}

/// The metadata of a child: name, labels, and the cluster as its owner, so that it goes with it.
fn metadata(cluster: &AeternaCluster, name: impl Into<String>, app: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: cluster.metadata.namespace.clone(),
        labels: Some(
            labels(app)
                .into_iter()
                .chain([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())])
                .collect(),
        ),
        owner_references: Some(vec![OwnerReference {
            api_version: "aeterna.dev/v1alpha1".to_owned(),
            kind: "AeternaCluster".to_owned(),
            name: cluster.metadata.name.clone().unwrap_or_default(),
            uid: cluster.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// The labels that select a child's pods.
fn labels(app: &str) -> std::collections::BTreeMap<String, String> {
    [("app".to_owned(), app.to_owned())].into()
}

#[cfg(test)]
mod tests;
