//! The files of a service's pod.
//!
//! A key comes as a file: a Secret that changes is read anew by the next pod, and never stands in the environment.

use aeterna_crds::v1alpha1::{AeternaClusterSpec, Jwt, SecretKeyRef};
use k8s_openapi::api::core::v1::{
    KeyToPath, PersistentVolumeClaimVolumeSource, PodSpec, ProjectedVolumeSource, SecretProjection, Volume,
    VolumeMount, VolumeProjection,
};

use crate::cluster::ServiceKind;

/// Where a JWT key is mounted.
pub(super) const AUTH_DIR: &str = "/etc/aeterna/auth";

/// Where the key is that policies are signed with, or the one that they are checked with.
pub(super) const SIGNING_DIR: &str = "/etc/aeterna/signing";

/// Where checkpoints of the audit log are kept.
pub(super) const CHECKPOINT_DIR: &str = "/var/lib/aeterna/checkpoints";

/// Where a service's own files are mounted.
const FILES_DIR: &str = "/etc/aeterna/files";

/// Mounts what a service's pod needs.
pub(super) fn mount(spec: &AeternaClusterSpec, kind: ServiceKind, pod: &mut PodSpec) {
    if let Some(key) = spec.auth.jwt.as_ref().and_then(Jwt::key_secret_ref) {
        add(pod, build_files("auth", &[(key, "key")]), AUTH_DIR);
    }
    if let Some(governance) = &spec.governance {
        let is_signer = kind == ServiceKind::Governance;
        let key = if is_signer {
            &governance.signing_key_secret_ref
        } else {
            &governance.public_key_secret_ref
        };
        add(pod, build_files("signing", &[(key, "key")]), SIGNING_DIR);
        if let Some(claim) = governance.checkpoint_claim.as_ref().filter(|_| is_signer) {
            add(pod, build_claim("checkpoints", claim), CHECKPOINT_DIR);
        }
    }
    let files = kind.spec(spec).files.iter();
    let files: Vec<(&SecretKeyRef, &str)> = files.map(|file| (&file.secret_ref, file.path.as_str())).collect();
    if !files.is_empty() {
        add(pod, build_files("files", &files), FILES_DIR);
    }
}

fn add(pod: &mut PodSpec, volume: Volume, directory: &str) {
    let is_written = volume.persistent_volume_claim.is_some();
    for container in &mut pod.containers {
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: volume.name.clone(),
            mount_path: directory.to_owned(),
            read_only: (!is_written).then_some(true),
            ..VolumeMount::default()
        });
    }
    pod.volumes.get_or_insert_default().push(volume);
}

fn build_claim(name: &str, claim: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.to_owned(),
            read_only: None,
        }),
        ..Volume::default()
    }
}

/// A volume of keys of Secrets, each with its path.
fn build_files(name: &str, files: &[(&SecretKeyRef, &str)]) -> Volume {
    let project = |(from, path): &(&SecretKeyRef, &str)| VolumeProjection {
        secret: Some(SecretProjection {
            name: from.name.clone(),
            items: Some(vec![KeyToPath {
                key: from.key.clone(),
                path: (*path).to_owned(),
                mode: None,
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(files.iter().map(project).collect()),
            default_mode: None,
        }),
        ..Volume::default()
    }
}
