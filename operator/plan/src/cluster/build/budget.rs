//! A service's PodDisruptionBudget.

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{labels, metadata};
use crate::cluster::ServiceKind;

pub(super) fn build_budget(cluster: &AeternaCluster, kind: ServiceKind) -> PodDisruptionBudget {
    let max_unavailable = kind.spec(&cluster.spec).max_unavailable.unwrap_or(1);
    PodDisruptionBudget {
        metadata: metadata(cluster, kind.name(), kind.name()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(max_unavailable)),
            selector: Some(LabelSelector {
                match_labels: Some(labels(kind.name())),
                ..LabelSelector::default()
            }),
            // A pod that is not ready serves nobody; it must not hold up a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
