//! A service's Deployment.

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec, PodTemplateSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::environment::build_environment;
use super::mounts::mount;
use super::pod::{build_container, build_pod, build_probe, build_resources};
use super::{labels, metadata};
use crate::cluster::ServiceKind;

pub(super) fn build_deployment(cluster: &AeternaCluster, kind: ServiceKind) -> Deployment {
    let wanted = kind.spec(&cluster.spec);
    let scaled = kind.autoscaling(wanted).is_some();
    Deployment {
        metadata: metadata(cluster, kind.name(), kind.name()),
        spec: Some(DeploymentSpec {
            // Where an autoscaler rules, nobody else sets the number.
            replicas: (!scaled).then(|| kind.replicas(wanted)),
            selector: LabelSelector {
                match_labels: Some(labels(kind.name())),
                ..LabelSelector::default()
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(kind.name())),
                    ..ObjectMeta::default()
                }),
                spec: Some(build_template(cluster, kind)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn build_template(cluster: &AeternaCluster, kind: ServiceKind) -> PodSpec {
    let spec = &cluster.spec;
    let wanted = kind.spec(spec);
    let container = Container {
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: kind.port(),
            ..ContainerPort::default()
        }]),
        env: Some(build_environment(spec, kind)),
        resources: Some(
            wanted
                .resources
                .clone()
                .unwrap_or_else(|| build_resources(kind.default_resources())),
        ),
        liveness_probe: Some(build_probe("/health", kind.port(), 10, 10)),
        readiness_probe: Some(build_probe("/ready", kind.port(), 1, 5)),
        ..build_container(&spec.release, kind.name(), kind.name())
    };
    let mut pod = build_pod(spec, container);
    // The drain's notice of 2 s, the longest request of 15 s, and a margin.
    pod.termination_grace_period_seconds = Some(30);
    pod.topology_spread_constraints = Some(vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(labels(kind.name())),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    }]);
    mount(spec, kind, &mut pod);
    pod
}
