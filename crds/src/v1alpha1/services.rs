//! The four services as a cluster runs them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretKeyRef;

/// The services of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Services {
    /// Stores and finds memories, on port 8001.
    pub memory: ServiceSpec,
    /// The knowledge service, on port 8002.
    pub knowledge: ServiceSpec,
    /// The governance service, on port 8003.
    pub governance: ServiceSpec,
    /// The sync service, on port 8004.
    pub sync: ServiceSpec,
}

/// How one service runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// For at most 100 files of 200 characters the API server's budget lets each path be compared with each other.
#[x_kube(validation = Rule::new("!has(self.files) || self.files.all(file, !self.files.exists(other, file.path.startsWith(other.path + '/')))").message("a file's path must not lie below another's: give files[].path names that are no directories of others"))]
#[x_kube(validation = Rule::new("!has(self.replicas) || !has(self.autoscaling)").message("write replicas or autoscaling, not both"))]
pub struct ServiceSpec {
    /// A fixed number of pods, instead of autoscaling. Default: governance and sync 2, others none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Lets a HorizontalPodAutoscaler choose the number of pods. Default: memory and knowledge 3 to 10, others none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// CPU and memory of a pod. Default: memory and knowledge request 500m and 1Gi, limit 2 and 4Gi; the others half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// More environment variables; they win over the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files from Secrets, in `/etc/aeterna/files`; name them in `env` where the service asks for a path. A path is a file or
    /// a directory of others, not both. When a Secret changes, the pods are replaced within half a minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub files: Vec<SecretFile>,
    /// How many pods a voluntary disruption may take at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_unavailable: Option<i32>,
}

/// A file whose content is in a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretFile {
    /// Its path in `/etc/aeterna/files`, such as `secrets/acme/git-token`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = "^[a-zA-Z0-9_-][a-zA-Z0-9._-]*(/[a-zA-Z0-9_-][a-zA-Z0-9._-]*)*$")
    )]
    pub path: String,
    /// The Secret's key with its content.
    pub secret_ref: SecretKeyRef,
}

/// A service's HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.max >= self.min").message("autoscaling.max must not be below autoscaling.min"))]
pub struct Autoscaling {
    /// Pods at least.
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
    /// Pods at most; not below `min`.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// The mean CPU use to aim at, in percent of the request. Default 70.
    #[serde(default = "cpu")]
    #[schemars(range(min = 1, max = 1000))]
    pub cpu: i32,
    /// The mean memory use to aim at, in percent of the request. Default 80.
    #[serde(default = "memory")]
    #[schemars(range(min = 1, max = 1000))]
    pub memory: i32,
}

fn cpu() -> i32 {
    70
}

fn memory() -> i32 {
    80
}
