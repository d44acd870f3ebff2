//! Events: one when an object's Ready condition changes its reason, one when a deletion leaves something behind.

use aeterna_crds::v1alpha1::{ConditionType, find_condition};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Publishes events of one controller.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// The API takes notes of at most 1 kB.
const LONGEST_NOTE: usize = 1_000;

impl Events {
    /// Makes a publisher.
    #[must_use]
    pub fn new(client: Client, controller: &'static str, instance: &str) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Publishes what has changed from one list of conditions to the next. A failure is only logged.
    pub async fn publish_change(&self, object: &ObjectReference, old: &[Condition], new: &[Condition]) {
        let Some(now) = find_condition(new, ConditionType::Ready) else {
            return;
        };
        let before = find_condition(old, ConditionType::Ready);
        if before.is_some_and(|before| before.reason == now.reason && before.status == now.status) {
            return;
        }
        let stalled = find_condition(new, ConditionType::Stalled).is_some_and(|stalled| stalled.status == "True");
        let type_ = if stalled { EventType::Warning } else { EventType::Normal };
        self.publish(object, type_, &now.reason, &now.message).await;
    }

    /// Publishes an event. A failure is only logged.
    pub async fn publish(&self, object: &ObjectReference, type_: EventType, reason: &str, message: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(message.chars().take(LONGEST_NOTE).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::warn!(%error, reason, "an event could not be published");
        }
    }
}
