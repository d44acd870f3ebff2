//! TenantShard: where one tenant's vectors live.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where one tenant's vectors live. Changing `placement` moves them, while the tenant reads and writes.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aeterna.dev",
    version = "v1alpha1",
    kind = "TenantShard",
    namespaced,
    status = "TenantShardStatus",
    shortname = "ats",
    category = "aeterna",
    derive = "PartialEq",
    doc = "Where one tenant's vectors live. Changing `placement` moves them, while the tenant reads and writes.",
    printcolumn = r#"{"name":"Tenant","type":"string","jsonPath":".spec.tenantId"}"#,
    printcolumn = r#"{"name":"Shard","type":"string","jsonPath":".status.placement.shard"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Step","type":"string","jsonPath":".status.move.step"}"#,
    printcolumn = r#"{"name":"Copied","type":"integer","jsonPath":".status.move.copied"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Collection","type":"string","priority":1,"jsonPath":".status.placement.collection"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct TenantShardSpec {
    /// The tenant: any string of 1 to 128 bytes without control characters. Cannot be changed.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("tenantId cannot be changed; make another TenantShard"),
        validation = Rule::new("bytes(self).size() <= 128").message("tenantId has more than 128 bytes in UTF-8; characters beyond ASCII take two to four")
    )]
    pub tenant_id: String,
    /// Where its vectors live.
    #[serde(default)]
    pub placement: Placement,
    /// How moves of this tenant go.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub move_options: Option<MoveOptions>,
    /// What deleting the TenantShard does. Default Retain.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Where a tenant's vectors live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode == 'Shared' || !has(self.shared)").message("placement.shared belongs to mode Shared; remove it"),
    validation = Rule::new("self.mode == 'Dedicated' || !has(self.dedicated)").message("placement.dedicated belongs to mode Dedicated; remove it"),
    validation = Rule::new("!has(self.dedicated) || !has(self.dedicated.name) || !self.dedicated.name.startsWith('shared')").message("a dedicated shard's name must not begin with 'shared'")
)]
pub struct Placement {
    /// `Shared`: with other tenants in one collection. `Dedicated`: in a collection of its own. Default Shared.
    #[serde(default)]
    pub mode: PlacementMode,
    /// Mode Shared: which shard. Default: the one with the most room, chosen once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedPlacement>,
    /// Mode Dedicated: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<DedicatedPlacement>,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            mode: PlacementMode::Shared,
            shared: None,
            dedicated: None,
        }
    }
}

/// The kinds of placement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlacementMode {
    /// With other tenants.
    #[default]
    Shared,
    /// Alone.
    Dedicated,
}

/// A place on a shared shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedPlacement {
    /// The shard: one of the AeternaCluster's `sharding.sharedShards`.
    #[schemars(length(min = 1, max = 50))]
    pub shard: String,
}

/// A place of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DedicatedPlacement {
    /// The shard's name. Default `dedicated-<tenantId>`; ids that are not DNS labels of 32 characters get a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
}

/// How moves of a tenant go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveOptions {
    /// How long a move keeps its source after the switch, in seconds. Default: the cluster's
    /// `sharding.retentionSeconds`. Counts for moves that begin later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub retention_seconds: Option<i64>,
}

/// What deleting a TenantShard does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Nothing: the tenant goes on as it is, and another TenantShard may take it over.
    #[default]
    Retain,
    /// Cancels a move that has not switched yet and lets go of the tenant in the database. Memories stay.
    Release,
}

/// What the operator sees of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantShardStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Serving.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Where the tenant's searches and writes go now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementStatus>,
    /// The move that runs, or the last one while its source is kept or cleaned.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub moving: Option<MoveStatus>,
    /// The last verification that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// The last five moves that ended, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_moves: Vec<PastMove>,
}

/// Where a tenant is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// The shard.
    pub shard: String,
    /// Its collection.
    pub collection: String,
    /// The projection's generation.
    pub generation: i64,
    /// The embedding model of its vectors.
    pub model: String,
}

/// A move, as far as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveStatus {
    /// Its id.
    pub id: String,
    /// Who asked: this object's uid and the generation of its spec.
    pub operation: String,
    /// From this shard.
    pub source: String,
    /// To this shard.
    pub target: String,
    /// Copy, CatchUp, Verify, Await, Cutover, Retain or Clean.
    pub step: String,
    /// The step as `n/8`.
    pub progress: String,
    /// Since when it is in this step.
    #[schemars(with = "String")]
    pub step_since: Option<Timestamp>,
    /// Memories when the copy began, about.
    pub total: i64,
    /// Memories copied.
    pub copied: i64,
    /// Memories copied a second, so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<i64>,
    /// Seconds until the copy ends, about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<i64>,
    /// Changes applied after the copy.
    pub caught_up: i64,
    /// Changes in the last delta.
    pub lag: i64,
    /// Points compared by the last verification.
    pub compared: i64,
    /// Differences that verifications repaired.
    pub repaired: i64,
    /// When the last pass without a difference ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub verified_at: Option<Timestamp>,
    /// How often a worker has taken it up.
    pub attempt: i32,
    /// Cutovers tried.
    pub cutover_tries: i32,
    /// How long writes waited at the switch, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_pause_microseconds: Option<i64>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// The last error, until a step succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Until when the source is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub source_kept_until: Option<Timestamp>,
    /// What will be deleted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub will_delete: Option<String>,
}

/// The answer to a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// The value of the annotation `aeterna.dev/verify` that asked for it.
    pub request_id: String,
    /// When it was finished; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// Memories and points compared.
    pub compared: i64,
    /// Memories that had no point.
    pub missing: i64,
    /// Points that were not as their memory.
    pub stale: i64,
    /// Points without a memory.
    pub orphaned: i64,
    /// Points of another tenant in this one's place.
    pub foreign: i64,
    /// Differences repaired.
    pub repaired: i64,
    /// Why it could not be finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A move that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastMove {
    /// Its id.
    pub id: String,
    /// From this shard.
    pub source: String,
    /// To this shard.
    pub target: String,
    /// Done or Cancelled.
    pub result: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// Memories copied.
    pub copied: i64,
    /// How long writes waited at the switch, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_pause_microseconds: Option<i64>,
}
