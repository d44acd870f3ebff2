//! The Job that brings the database's schemas up to the release.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::environment::secret;
use super::pod::{build_container, build_pod, build_resources, image};
use super::{labels, metadata};

const APP: &str = "aeterna-migrate";

/// Builds the Job of a release. Its name holds a hash of what it runs, for a Job cannot be changed.
#[must_use]
pub fn build_migration(cluster: &AeternaCluster) -> Job {
    let spec = &cluster.spec;
    let database = &spec.database;
    let from = database
        .migration_url_secret_ref
        .as_ref()
        .unwrap_or(&database.url_secret_ref);
    let mut hash = DefaultHasher::new();
    (image(&spec.release, "memory-service"), &from.name, &from.key).hash(&mut hash);
    let container = Container {
        args: Some(vec!["migrate".to_owned()]),
        env: Some(vec![secret("DATABASE_URL", from)]),
        resources: Some(build_resources([("50m", "64Mi"), ("1", "512Mi")])),
        ..build_container(&spec.release, APP, "memory-service")
    };
    let mut pod = build_pod(spec, container);
    pod.restart_policy = Some("Never".to_owned());
    Job {
        metadata: metadata(cluster, format!("{APP}-{:08x}", hash.finish() & 0xffff_ffff), APP),
        spec: Some(JobSpec {
            backoff_limit: Some(3),
            active_deadline_seconds: Some(1_800),
            // A failed Job goes after a minute, and the operator tries again with a new one.
            ttl_seconds_after_finished: Some(60),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(APP)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}
