//! The four services, and what they get when the spec says nothing.

use aeterna_crds::v1alpha1::{AeternaClusterSpec, Autoscaling, ServiceSpec};

/// One of the four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// Memories.
    Memory,
    /// Knowledge.
    Knowledge,
    /// Governance.
    Governance,
    /// Synchronisation.
    Sync,
}

/// All services.
pub const KINDS: [ServiceKind; 4] = [
    ServiceKind::Memory,
    ServiceKind::Knowledge,
    ServiceKind::Governance,
    ServiceKind::Sync,
];

impl ServiceKind {
    /// Returns the name of its Deployment, its Service and its `app` label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory-service",
            Self::Knowledge => "knowledge-service",
            Self::Governance => "governance-service",
            Self::Sync => "sync-service",
        }
    }

    /// Returns its port.
    #[must_use]
    pub fn port(self) -> i32 {
        match self {
            Self::Memory => 8001,
            Self::Knowledge => 8002,
            Self::Governance => 8003,
            Self::Sync => 8004,
        }
    }

    /// Returns what the spec says about it.
    #[must_use]
    pub fn spec(self, cluster: &AeternaClusterSpec) -> &ServiceSpec {
        match self {
            Self::Memory => &cluster.services.memory,
            Self::Knowledge => &cluster.services.knowledge,
            Self::Governance => &cluster.services.governance,
            Self::Sync => &cluster.services.sync,
        }
    }

    /// Returns the pods that it gets when nothing scales it.
    #[must_use]
    pub fn replicas(self, spec: &ServiceSpec) -> i32 {
        spec.replicas.unwrap_or(match self {
            Self::Memory | Self::Knowledge => 3,
            Self::Governance | Self::Sync => 2,
        })
    }

    /// Returns its autoscaling: the spec's; where the spec says nothing at all, 3 to 10 for the two that the load meets.
    #[must_use]
    pub fn autoscaling(self, spec: &ServiceSpec) -> Option<Autoscaling> {
        if spec.autoscaling.is_some() || spec.replicas.is_some() {
            return spec.autoscaling.clone();
        }
        match self {
            Self::Memory | Self::Knowledge => Some(Autoscaling {
                min: 3,
                max: 10,
                cpu: 70,
                memory: 80,
            }),
            Self::Governance | Self::Sync => None,
        }
    }

    /// Returns what a pod requests and may use: (CPU, memory) each.
    #[must_use]
    pub fn default_resources(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Memory | Self::Knowledge => [("500m", "1Gi"), ("2", "4Gi")],
            Self::Governance | Self::Sync => [("250m", "512Mi"), ("1", "2Gi")],
        }
    }
}
