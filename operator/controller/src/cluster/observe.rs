//! Reading what is there: Secrets and pods.

use aeterna_crds::v1alpha1::{Reason, SecretKeyRef};
use aeterna_plan::cluster::Pods;
use aeterna_plan::cluster::build::Children;
use aeterna_plan::report::Because;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, Secret};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

use super::Error;

/// Reads a key of a Secret, or says what is wrong with it.
pub(super) async fn fetch_secret(
    client: &Client,
    namespace: &str,
    from: &SecretKeyRef,
) -> Result<Result<String, Because>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = match api.get_opt(&from.name).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let message = format!(
                "the operator may not read Secret {}: bind the ClusterRole aeterna-operator-secrets in this namespace",
                from.name
            );
            return Ok(Err(Because::new(Reason::SecretForbidden, message)));
        }
        Err(source) => {
            return Err(Error::Api {
                operation: "read a Secret",
                source: Box::new(source),
            });
        }
    };
    let Some(secret) = found else {
        let message = format!("Secret {} is missing: create it with the key {}", from.name, from.key);
        return Ok(Err(Because::new(Reason::SecretMissing, message)));
    };
    let Some(bytes) = secret.data.and_then(|mut data| data.remove(&from.key)) else {
        let message = format!("Secret {} has no key {}", from.name, from.key);
        return Ok(Err(Because::new(Reason::SecretKeyMissing, message)));
    };
    Ok(match String::from_utf8(bytes.0) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(_) => {
            let message = format!("Secret {} holds no text under the key {}", from.name, from.key);
            Err(Because::new(Reason::SecretInvalid, message))
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
            find_trouble(client, namespace, &format!("app={name}")).await?
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
pub(super) async fn find_trouble(client: &Client, namespace: &str, labels: &str) -> Result<Option<Because>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let listed = pods
        .list(&ListParams::default().labels(labels))
        .await
        .map_err(|source| Error::Api {
            operation: "list pods",
            source: Box::new(source),
        })?;
    Ok(listed.iter().find_map(trouble_of))
}

fn trouble_of(pod: &Pod) -> Option<Because> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let (before, then) = (&status.init_container_statuses, &status.container_statuses);
    before
        .iter()
        .chain(then)
        .flatten()
        .find_map(|container| waiting_reason(&name, container).or_else(|| crash_reason(&name, container)))
}

/// What the kubelet says of a container that it cannot start.
fn waiting_reason(pod: &str, container: &ContainerStatus) -> Option<Because> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let detail = waiting.message.as_deref().unwrap_or("no details");
    match waiting.reason.as_deref()? {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            let message = format!("pod {pod}: image {} cannot be pulled", container.image);
            Some(Because::new(Reason::ImagePullFailed, message))
        }
        "CreateContainerConfigError" | "CreateContainerError" => {
            let message = format!("pod {pod}: the container cannot be made: {detail}");
            Some(Because::new(Reason::ContainerConfigInvalid, message))
        }
        "CrashLoopBackOff" => Some(crashes(pod)),
        _ => None,
    }
}

/// Between two back-offs a container that ends again and again runs for a while: until it is ready, that is no news.
fn crash_reason(pod: &str, container: &ContainerStatus) -> Option<Because> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    (container.restart_count > 0 && ended.exit_code != 0 && !container.ready).then(|| crashes(pod))
}

fn crashes(pod: &str) -> Because {
    let message = format!("pod {pod} ends again and again; see kubectl logs --previous");
    Because::new(Reason::CrashLooping, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(container: &Value) -> Option<Reason> {
        reason_in("containerStatuses", container)
    }

    fn reason_in(field: &str, container: &Value) -> Option<Reason> {
        let mut status = json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0});
        let fields = container.as_object().cloned().unwrap_or_default();
        status.as_object_mut().expect("an object").extend(fields);
        let pod = json!({"metadata": {"name": "p"}, "status": {field: [status]}});
        trouble_of(&serde_json::from_value(pod).expect("a pod")).map(|because| because.reason)
    }

    #[test]
    fn what_keeps_a_container_from_starting_has_a_reason() {
        let waiting = |why: &str| reason(&json!({"state": {"waiting": {"reason": why}}}));
        assert_eq!(waiting("ErrImagePull"), Some(Reason::ImagePullFailed));
        assert_eq!(
            waiting("CreateContainerConfigError"),
            Some(Reason::ContainerConfigInvalid)
        );
        assert_eq!(waiting("CrashLoopBackOff"), Some(Reason::CrashLooping));
        assert_eq!(waiting("ContainerCreating"), None);
        let pull = json!({"state": {"waiting": {"reason": "ErrImagePull"}}});
        assert_eq!(reason_in("initContainerStatuses", &pull), Some(Reason::ImagePullFailed));
    }

    #[test]
    fn a_container_that_crashed_crash_loops_until_it_is_ready() {
        let between = |exit: i32, ready: bool| {
            reason(&json!({"ready": ready, "restartCount": 3, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": exit}}}))
        };
        assert_eq!(between(1, false), Some(Reason::CrashLooping));
        assert_eq!(between(1, true), None);
        assert_eq!(between(0, false), None);
    }
}
