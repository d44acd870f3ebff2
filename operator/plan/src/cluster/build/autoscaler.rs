//! A service's HorizontalPodAutoscaler.
//!
//! CPU and memory only: a metric that nobody serves keeps an autoscaler from ever scaling down.

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};

use super::{autoscaler_name, metadata};
use crate::cluster::ServiceKind;

pub(super) fn build_autoscaler(cluster: &AeternaCluster, kind: ServiceKind) -> Option<HorizontalPodAutoscaler> {
    let wanted = kind.autoscaling(kind.spec(&cluster.spec))?;
    Some(HorizontalPodAutoscaler {
        metadata: metadata(cluster, autoscaler_name(kind), kind.name()),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: kind.name().to_owned(),
            },
            min_replicas: Some(wanted.min),
            max_replicas: wanted.max,
            metrics: Some(vec![
                utilization("cpu", wanted.cpu),
                utilization("memory", wanted.memory),
            ]),
            behavior: Some(behavior()),
        }),
        ..HorizontalPodAutoscaler::default()
    })
}

fn utilization(resource: &str, percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: resource.to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

/// Up within a minute, at most double or two pods; down by half at most, after five quiet minutes.
fn behavior() -> HorizontalPodAutoscalerBehavior {
    let policy = |type_: &str, value| HPAScalingPolicy {
        type_: type_.to_owned(),
        value,
        period_seconds: 60,
    };
    let rules = |window, select: &str, policies| HPAScalingRules {
        stabilization_window_seconds: Some(window),
        select_policy: Some(select.to_owned()),
        policies: Some(policies),
        ..HPAScalingRules::default()
    };
    HorizontalPodAutoscalerBehavior {
        scale_up: Some(rules(60, "Max", vec![policy("Percent", 100), policy("Pods", 2)])),
        scale_down: Some(rules(300, "Min", vec![policy("Percent", 50)])),
    }
}
