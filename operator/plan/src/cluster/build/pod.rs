//! What the pods of all children have in common: no root, no capabilities, a read-only file system.

use aeterna_crds::v1alpha1::{AeternaClusterSpec, Release};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, HTTPGetAction, LocalObjectReference, PodSecurityContext, PodSpec,
    Probe, ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The user of all our images.
const NOBODY: i64 = 65_532;

fn image(release: &Release, name: &str) -> String {
    format!("{}/{name}:{}", release.registry, release.version)
}

/// A container of ours, without its command, environment and probes.
pub(super) fn build_container(release: &Release, name: &str, image_name: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image(release, image_name)),
        image_pull_policy: Some(release.pull_policy.as_str().to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![VolumeMount {
            name: "tmp".to_owned(),
            mount_path: "/tmp".to_owned(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// A pod of one container.
pub(super) fn build_pod(spec: &AeternaClusterSpec, container: Container) -> PodSpec {
    let pull_secrets = &spec.release.pull_secrets;
    PodSpec {
        containers: vec![container],
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: (!pull_secrets.is_empty()).then(|| {
            pull_secrets
                .iter()
                .map(|name| LocalObjectReference { name: name.clone() })
                .collect()
        }),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(NOBODY),
            run_as_group: Some(NOBODY),
            fs_group: Some(NOBODY),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(vec![Volume {
            name: "tmp".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        }]),
        ..PodSpec::default()
    }
}

/// A probe of a path.
pub(super) fn build_probe(path: &str, port: i32, delay: i32, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(port),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: Some(delay),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

/// Requests and limits of (CPU, memory).
pub(super) fn build_resources([requests, limits]: [(&str, &str); 2]) -> ResourceRequirements {
    let pair = |(cpu, memory): (&str, &str)| {
        [("cpu", cpu), ("memory", memory)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Quantity(value.to_owned())))
            .collect()
    };
    ResourceRequirements {
        requests: Some(pair(requests)),
        limits: Some(pair(limits)),
        claims: None,
    }
}
