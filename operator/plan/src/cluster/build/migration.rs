//! The Job that brings the database's schemas up to the release.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::environment::{plain, secret};
use super::pod::{build_container, build_pod, build_resources};
use super::{labels, metadata};
use crate::cluster::{KINDS, ServiceKind};

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
    let build = |kind: ServiceKind| Container {
        args: Some(vec!["migrate".to_owned()]),
        env: Some(vec![
            secret("DATABASE_URL", from),
            plain("RELEASE", &spec.release.version),
        ]),
        resources: Some(build_resources([("50m", "64Mi"), ("1", "512Mi")])),
        ..build_container(&spec.release, kind.name(), kind.name())
    };
    // Each service builds its own schemas; init containers run one after the other.
    let [last, earlier @ ..] = KINDS;
    let mut pod = build_pod(spec, build(last));
    pod.init_containers = Some(earlier.into_iter().map(build).collect());
    pod.restart_policy = Some("Never".to_owned());
    let job = JobSpec {
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
    };
    Job {
        metadata: metadata(cluster, format!("{APP}-{:08x}", hash(&job)), APP),
        spec: Some(job),
        ..Job::default()
    }
}

/// Thirty-two bits of a hash of all that the Job runs: the API server lets none of it be changed.
fn hash(job: &JobSpec) -> u64 {
    let mut hash = DefaultHasher::new();
    serde_json::to_string(job).unwrap_or_default().hash(&mut hash);
    hash.finish() & 0xffff_ffff
}
