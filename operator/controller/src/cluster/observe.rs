//! Reading what is there: Secrets and pods.

use aeterna_crds::v1alpha1::{Reason, SecretKeyRef};
use aeterna_plan::cluster::Pods;
use aeterna_plan::cluster::build::Children;
use aeterna_plan::report::Because;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

use super::Error;

/// Reads a key of a Secret.
pub(super) async fn fetch_secret(
    client: &Client,
    namespace: &str,
    from: &SecretKeyRef,
) -> Result<Result<String, Because>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(&from.name).await.map_err(|source| Error::Api {
        operation: "read a Secret",
        source: Box::new(source),
    })?;
    let Some(secret) = found else {
        let message = format!("Secret {} is missing: create it with the key {}", from.name, from.key);
        return Ok(Err(Because::new(Reason::SecretMissing, message)));
    };
    let value = secret.data.and_then(|mut data| data.remove(&from.key));
    Ok(match value.and_then(|bytes| String::from_utf8(bytes.0).ok()) {
        Some(value) => Ok(value.trim().to_owned()),
        None => {
            let message = format!("Secret {} has no text under the key {}", from.name, from.key);
            Err(Because::new(Reason::SecretKeyMissing, message))
        }
    })
}

/// Looks at the pods of all Deployments.
pub(super) async fn observe_pods(client: &Client, namespace: &str, wanted: &Children) -> Result<Vec<Pods>, Error> {
    let failed = |operation| {
        move |source| Error::Api {
            operation,
            source: Box::new(source),
        }
    };
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let mut seen = Vec::new();
    for child in &wanted.deployments {
        let name = child.name_any();
        let Some(live) = deployments.get_opt(&name).await.map_err(failed("read a Deployment"))? else {
            continue;
        };
        let desired = live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = live.status.unwrap_or_default();
        // A status about an older template says nothing about this one.
        let current = status.observed_generation >= live.metadata.generation;
        let updated = status.updated_replicas.unwrap_or_default();
        // Pods of an older template may be the available ones.
        let older = status.replicas.unwrap_or_default() - updated;
        let ready = (status.available_replicas.unwrap_or_default() - older).clamp(0, updated);
        let ready = if current { ready } else { 0 };
        let trouble = if ready < desired {
            find_trouble(client, namespace, &name).await?
        } else {
            None
        };
        seen.push(Pods {
            name,
            desired,
            ready,
            trouble,
        });
    }
    Ok(seen)
}

/// Finds out why a pod does not start, if it says so itself.
async fn find_trouble(client: &Client, namespace: &str, app: &str) -> Result<Option<Because>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let listed = pods
        .list(&ListParams::default().labels(&format!("app={app}")))
        .await
        .map_err(|source| Error::Api {
            operation: "list pods",
            source: Box::new(source),
        })?;
    Ok(listed.iter().find_map(waiting_reason))
}

fn waiting_reason(pod: &Pod) -> Option<Because> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = waiting.reason.as_deref()?;
        let (reason, message) = match why {
            "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => (
                Reason::ImagePullFailed,
                format!("pod {}: image {} cannot be pulled", pod.name_any(), container.image),
            ),
            "CrashLoopBackOff" => (
                Reason::CrashLooping,
                format!(
                    "pod {} ends again and again; see kubectl logs --previous",
                    pod.name_any()
                ),
            ),
            _ => return None,
        };
        Some(Because::new(reason, message))
    })
}
