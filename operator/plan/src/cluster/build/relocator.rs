//! The relocator's Deployment.

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Container, ContainerPort, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::environment::{plain, secret};
use super::pod::{build_container, build_pod, build_probe, build_resources};
use super::{RELOCATOR, labels, metadata};

/// The port of its probes and metrics.
const PORT: i32 = 8080;

pub(super) fn build_relocator(cluster: &AeternaCluster) -> Deployment {
    let spec = &cluster.spec;
    let mut env = vec![
        plain("PORT", PORT.to_string()),
        secret("DATABASE_URL", &spec.database.url_secret_ref),
        plain("RELOCATOR_CONCURRENCY", spec.relocator.concurrency.to_string()),
    ];
    env.extend(
        spec.vector_store
            .external
            .api_key_secret_ref
            .iter()
            .map(|key| secret("QDRANT_API_KEY", key)),
    );
    let resources = spec.relocator.resources.clone();
    let container = Container {
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        env: Some(env),
        resources: Some(resources.unwrap_or_else(|| build_resources([("100m", "128Mi"), ("1", "1Gi")]))),
        liveness_probe: Some(build_probe("/health", PORT, 10, 10)),
        readiness_probe: Some(build_probe("/ready", PORT, 1, 5)),
        ..build_container(&spec.release, RELOCATOR, "relocator")
    };
    let mut pod = build_pod(spec, container);
    // A move resumes from any point: nothing is gained by a long goodbye.
    pod.termination_grace_period_seconds = Some(5);
    Deployment {
        metadata: metadata(cluster, RELOCATOR, RELOCATOR),
        spec: Some(DeploymentSpec {
            replicas: Some(spec.relocator.replicas),
            selector: LabelSelector {
                match_labels: Some(labels(RELOCATOR)),
                ..LabelSelector::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(RELOCATOR)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
