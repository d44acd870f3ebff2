//! Conditions: their types and their reasons.
//!
//! Reasons are part of the API. Each is reached by a test.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The types of conditions that both kinds have, and their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// What the spec asks for is there and serves, for this generation.
    Ready,
    /// The operator is on its way there.
    Reconciling,
    /// It will not get there without somebody's help.
    Stalled,
    /// Cluster: the database answers and is this cluster's.
    DatabaseReady,
    /// Cluster: the vector store answers, and its collections fit.
    VectorStoreReady,
    /// Cluster: the schemas are those of the release.
    Migrated,
    /// Cluster: every Deployment has the pods that it wants.
    ServicesAvailable,
    /// Tenant: its memories can be written and searched, on the placement in status.
    Serving,
}

/// Why a condition is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// All is as the spec asks.
    AsWanted,
    /// The Secret that the spec names is missing.
    SecretMissing,
    /// The Secret has not the key that the spec names.
    SecretKeyMissing,
    /// The operator may not read the Secret that the spec names.
    SecretForbidden,
    /// The Secret has the key, and what it holds cannot be used.
    SecretInvalid,
    /// The database does not answer.
    DatabaseUnreachable,
    /// The database is older than PostgreSQL 15.
    DatabaseTooOld,
    /// Another AeternaCluster uses the database.
    DatabaseOwnedByAnother,
    /// The schema migration runs.
    Migrating,
    /// The schema migration failed.
    MigrationFailed,
    /// The vector store does not answer.
    VectorStoreUnreachable,
    /// The vector store is too old for guarded upserts.
    VectorStoreTooOld,
    /// The URL of the vector store was changed, and the collections are at the old one.
    VectorStoreUrlChanged,
    /// A shard or its collection has vectors of another model, or of another dimension.
    VectorStoreDimensionMismatch,
    /// A shard or a tenant uses an embedding model that the spec does not list.
    ModelUnknown,
    /// A collection belongs to something else.
    CollectionNotOurs,
    /// The API server refuses an object that the spec asks for.
    ChildRefused,
    /// Pods are on their way.
    RollingOut,
    /// An image cannot be pulled.
    ImagePullFailed,
    /// A container cannot be made from its configuration, such as a Secret that is missing.
    ContainerConfigInvalid,
    /// A container ends again and again.
    CrashLooping,
    /// The namespace has no AeternaCluster that is ready.
    ClusterNotReady,
    /// The tenantId is not one: too long, or with control characters.
    TenantIdInvalid,
    /// Another TenantShard has the same tenantId.
    TenantIdConflict,
    /// The shard that the spec names does not exist.
    ShardUnknown,
    /// The shard takes no more tenants.
    ShardFull,
    /// The tenant is moving.
    Moving,
    /// A step of the move failed and is tried again.
    MoveFailing,
    /// A pass over the object took too long, and is tried again.
    PassTooLong,
}

impl ConditionType {
    /// Returns the form in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::DatabaseReady => "DatabaseReady",
            Self::VectorStoreReady => "VectorStoreReady",
            Self::Migrated => "Migrated",
            Self::ServicesAvailable => "ServicesAvailable",
            Self::Serving => "Serving",
        }
    }
}

impl Reason {
    /// Returns the form in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsWanted => "AsWanted",
            Self::SecretMissing => "SecretMissing",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::SecretForbidden => "SecretForbidden",
            Self::SecretInvalid => "SecretInvalid",
            Self::DatabaseUnreachable => "DatabaseUnreachable",
            Self::DatabaseTooOld => "DatabaseTooOld",
            Self::DatabaseOwnedByAnother => "DatabaseOwnedByAnother",
            Self::Migrating => "Migrating",
            Self::MigrationFailed => "MigrationFailed",
            Self::VectorStoreUnreachable => "VectorStoreUnreachable",
            Self::VectorStoreTooOld => "VectorStoreTooOld",
            Self::VectorStoreUrlChanged => "VectorStoreUrlChanged",
            Self::VectorStoreDimensionMismatch => "VectorStoreDimensionMismatch",
            Self::ModelUnknown => "ModelUnknown",
            Self::CollectionNotOurs => "CollectionNotOurs",
            Self::ChildRefused => "ChildRefused",
            Self::RollingOut => "RollingOut",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::ContainerConfigInvalid => "ContainerConfigInvalid",
            Self::CrashLooping => "CrashLooping",
            Self::ClusterNotReady => "ClusterNotReady",
            Self::TenantIdInvalid => "TenantIdInvalid",
            Self::TenantIdConflict => "TenantIdConflict",
            Self::ShardUnknown => "ShardUnknown",
            Self::ShardFull => "ShardFull",
            Self::Moving => "Moving",
            Self::MoveFailing => "MoveFailing",
            Self::PassTooLong => "PassTooLong",
        }
    }

    /// Tells whether it takes somebody's help to go on: the spec, a Secret or an image must change.
    #[must_use]
    pub fn is_stalling(self) -> bool {
        match self {
            Self::SecretMissing
            | Self::SecretKeyMissing
            | Self::DatabaseTooOld
            | Self::DatabaseOwnedByAnother
            | Self::MigrationFailed
            | Self::VectorStoreTooOld
            | Self::VectorStoreDimensionMismatch
            | Self::CollectionNotOurs
            | Self::ImagePullFailed
            | Self::CrashLooping
            | Self::TenantIdConflict
            | Self::ShardUnknown
            | Self::SecretForbidden
            | Self::SecretInvalid
            | Self::VectorStoreUrlChanged
            | Self::ModelUnknown
            | Self::ChildRefused
            | Self::ContainerConfigInvalid
            | Self::TenantIdInvalid
            | Self::ShardFull => true,
            Self::AsWanted
            | Self::DatabaseUnreachable
            | Self::Migrating
            | Self::VectorStoreUnreachable
            | Self::RollingOut
            | Self::ClusterNotReady
            | Self::Moving
            | Self::PassTooLong
            | Self::MoveFailing => false,
        }
    }
}

/// Returns a condition of a list.
#[must_use]
pub fn find_condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}
