//! What a Deployment's pods read of Secrets, and the mark by which a change of it becomes a rollout.

use aeterna_crds::v1alpha1::SecretKeyRef;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec};

/// The annotation of a pod template that holds a digest of what its pods read of Secrets.
pub const SECRETS_ANNOTATION: &str = "aeterna.dev/secrets-digest";

/// Returns the keys of Secrets that a Deployment's pods read, in variables and in files, each once.
#[must_use]
pub fn secrets_of(deployment: &Deployment) -> Vec<SecretKeyRef> {
    let mut all = Vec::new();
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    for from in pod.into_iter().flat_map(|pod| in_variables(pod).chain(in_files(pod))) {
        if !all.contains(&from) {
            all.push(from);
        }
    }
    all
}

/// Sets the mark of a Deployment's pod template.
pub fn mark_secrets(deployment: &mut Deployment, mark: String) {
    let spec = deployment.spec.get_or_insert_default();
    let metadata = spec.template.metadata.get_or_insert_default();
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(SECRETS_ANNOTATION.to_owned(), mark);
}

fn in_variables(pod: &PodSpec) -> impl Iterator<Item = SecretKeyRef> {
    let variables = |container: &Container| container.env.clone().unwrap_or_default();
    pod.containers.iter().flat_map(variables).filter_map(|variable| {
        let from = variable.value_from?.secret_key_ref?;
        Some(SecretKeyRef {
            name: from.name,
            key: from.key,
        })
    })
}

fn in_files(pod: &PodSpec) -> impl Iterator<Item = SecretKeyRef> {
    let projected = pod
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| volume.projected.as_ref());
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    let secrets = sources.filter_map(|source| source.secret.as_ref());
    secrets.flat_map(|secret| {
        let key = |key: &String| SecretKeyRef {
            name: secret.name.clone(),
            key: key.clone(),
        };
        secret.items.iter().flatten().map(move |item| key(&item.key))
    })
}
