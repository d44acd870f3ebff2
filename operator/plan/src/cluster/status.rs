//! The status of a cluster.

use aeterna_crds::v1alpha1::{AeternaClusterStatus, ConditionType, Reason, ServiceStatus, ShardStatus};
use jiff::Timestamp;

use crate::report::{Because, Conditions, Holds};

/// What was seen of a cluster. Each stage is `Err` with the reason for which it, and all after it, could not be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The database answers, is new enough, and is this cluster's.
    pub database: Result<(), Because>,
    /// The schemas are the release's.
    pub migrated: Result<(), Because>,
    /// The vector store answers and the shared shards are ready.
    pub vector_store: Result<(), Because>,
    /// All children are as they should be, and the Secrets that they name are there.
    pub children: Result<(), Because>,
    /// The Deployments' pods.
    pub pods: Vec<Pods>,
    /// The shards, when the database could tell.
    pub shards: Vec<ShardStatus>,
}

/// The pods of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pods {
    /// The Deployment.
    pub name: String,
    /// Pods wanted.
    pub desired: i32,
    /// Pods ready, of the wanted template.
    pub ready: i32,
    /// Why one of them does not start.
    pub trouble: Option<Because>,
}

impl Pods {
    fn is_available(&self) -> bool {
        self.ready >= self.desired
    }
}

/// Derives the status.
#[must_use]
pub fn derive_status(
    old: Option<&AeternaClusterStatus>,
    generation: Option<i64>,
    seen: &Observed,
    now: Timestamp,
) -> AeternaClusterStatus {
    let services = seen.children.clone().and_then(|()| derive_services(&seen.pods));
    let stages = [&seen.database, &seen.migrated, &seen.vector_store, &services];
    let first_trouble = stages.iter().find_map(|stage| stage.as_ref().err());
    let fine = Because::new(Reason::AsWanted, "all services run, and their stores answer");
    let conditions = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::after(conditions, generation, now);
    conditions.set_outcome(first_trouble.is_none(), first_trouble.unwrap_or(&fine));
    let kinds = [
        (
            ConditionType::DatabaseReady,
            "the database answers and is this cluster's",
        ),
        (ConditionType::Migrated, "the schemas are those of the release"),
        (
            ConditionType::VectorStoreReady,
            "the vector store answers, and the shared shards are ready",
        ),
        (
            ConditionType::ServicesAvailable,
            "every Deployment has the pods that it wants",
        ),
    ];
    for ((kind, message), stage) in kinds.into_iter().zip(stages) {
        match stage {
            Ok(()) => conditions.set(kind, Holds::True, &Because::new(Reason::AsWanted, message)),
            Err(because) => conditions.set(kind, Holds::False, because),
        }
    }
    AeternaClusterStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        tenants: seen
            .database
            .is_ok()
            .then(|| seen.shards.iter().map(|shard| shard.tenants).sum()),
        services: seen
            .pods
            .iter()
            .map(|pods| ServiceStatus {
                name: pods.name.clone(),
                desired: pods.desired,
                ready: pods.ready,
            })
            .collect(),
        shards: seen.shards.clone(),
    }
}

/// Derives the status after a pass that ended before it had seen everything: what it did not see stays.
#[must_use]
pub fn derive_interrupted(
    old: Option<&AeternaClusterStatus>,
    generation: Option<i64>,
    because: &Because,
    now: Timestamp,
) -> AeternaClusterStatus {
    let old = old.cloned().unwrap_or_default();
    let mut conditions = Conditions::after(&old.conditions, generation, now);
    conditions.set_outcome(false, because);
    conditions.keep_others();
    AeternaClusterStatus {
        conditions: conditions.finish(),
        ..old
    }
}

fn derive_services(pods: &[Pods]) -> Result<(), Because> {
    if let Some(trouble) = pods.iter().find_map(|pods| pods.trouble.clone()) {
        return Err(trouble);
    }
    let missing: Vec<String> = pods
        .iter()
        .filter(|pods| !pods.is_available())
        .map(|pods| format!("{} {}/{}", pods.name, pods.ready, pods.desired))
        .collect();
    if missing.is_empty() && !pods.is_empty() {
        return Ok(());
    }
    Err(Because::new(
        Reason::RollingOut,
        format!("waiting for pods: {}", missing.join(", ")),
    ))
}
