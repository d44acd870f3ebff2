//! Reading what is there: pods, and why they do not start.

use aeterna_crds::v1alpha1::Reason;
use aeterna_kit::clock;
use aeterna_plan::cluster::Pods;
use aeterna_plan::cluster::build::Children;
use aeterna_plan::report::Because;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

use super::Error;

/// A pod that was given to a node is told of after this time without a container: images of a hundred megabytes are pulled
/// in less.
const SLOW: SignedDuration = SignedDuration::from_mins(2);

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
    let now = clock::now();
    Ok(listed.iter().find_map(|pod| trouble_of(pod, now)))
}

fn trouble_of(pod: &Pod, now: Timestamp) -> Option<Because> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let (before, then) = (&status.init_container_statuses, &status.container_statuses);
    before
        .iter()
        .chain(then)
        .flatten()
        .find_map(|container| waiting_reason(&name, container).or_else(|| crash_reason(&name, container)))
        .or_else(|| slow_reason(&name, status, now))
}

/// A container is made as soon as its image is pulled and its volumes are mounted; what keeps a volume from being mounted
/// stands in events alone, which the operator does not read.
fn slow_reason(pod: &str, status: &PodStatus, now: Timestamp) -> Option<Because> {
    let since = status.start_time.as_ref()?.0;
    let is_creating = |container: &ContainerStatus| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ContainerCreating"))
    };
    let creates = status.container_statuses.iter().flatten().any(is_creating);
    (creates && now.duration_since(since) > SLOW).then(|| {
        let message = format!(
            "pod {pod} has been waiting for its image or a volume for more than two minutes; see kubectl describe pod {pod}"
        );
        Because::new(Reason::RollingOut, message)
    })
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
        trouble_of(&serde_json::from_value(pod).expect("a pod"), Timestamp::UNIX_EPOCH).map(|because| because.reason)
    }

    #[test]
    fn a_pod_that_waits_for_a_volume_is_told_of_after_a_while() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "status": {"startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{
                "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ContainerCreating"}}}]},
        }))
        .expect("a pod");
        let after = |time: &str| trouble_of(&pod, time.parse().expect("a time"));
        assert_eq!(after("2026-01-01T00:01:59Z"), None);
        let late = after("2026-01-01T00:02:01Z").expect("told");
        assert_eq!(late.reason, Reason::RollingOut);
        assert!(late.message.contains("kubectl describe pod p"), "{}", late.message);
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
