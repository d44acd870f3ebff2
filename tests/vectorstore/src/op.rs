//! The calls that this server answers.
//!
//! One name for a call in routing, logs, messages and faults. A call of Qdrant that is not listed here is
//! answered `Unimplemented`.

/// A call of Qdrant's gRPC interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `qdrant.Qdrant/HealthCheck`
    Health,
    /// `qdrant.Collections/Create`
    CreateCollection,
    /// `qdrant.Collections/Delete`
    DeleteCollection,
    /// `qdrant.Collections/Get`
    CollectionInfo,
    /// `qdrant.Collections/List`
    ListCollections,
    /// `qdrant.Collections/CollectionExists`
    CollectionExists,
    /// `qdrant.Points/Upsert`
    Upsert,
    /// `qdrant.Points/Delete`
    Delete,
    /// `qdrant.Points/SetPayload`
    SetPayload,
    /// `qdrant.Points/CreateFieldIndex`
    CreateFieldIndex,
    /// `qdrant.Points/DeleteFieldIndex`
    DeleteFieldIndex,
    /// `qdrant.Points/Get`
    Get,
    /// `qdrant.Points/Scroll`
    Scroll,
    /// `qdrant.Points/Query`
    Query,
    /// `qdrant.Points/QueryBatch`
    QueryBatch,
    /// `qdrant.Points/Count`
    Count,
}

impl Op {
    const ALL: [Self; 16] = [
        Self::Health,
        Self::CreateCollection,
        Self::DeleteCollection,
        Self::CollectionInfo,
        Self::ListCollections,
        Self::CollectionExists,
        Self::Upsert,
        Self::Delete,
        Self::SetPayload,
        Self::CreateFieldIndex,
        Self::DeleteFieldIndex,
        Self::Get,
        Self::Scroll,
        Self::Query,
        Self::QueryBatch,
        Self::Count,
    ];

    /// Returns the path of the call's requests.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Health => "/qdrant.Qdrant/HealthCheck",
            Self::CreateCollection => "/qdrant.Collections/Create",
            Self::DeleteCollection => "/qdrant.Collections/Delete",
            Self::CollectionInfo => "/qdrant.Collections/Get",
            Self::ListCollections => "/qdrant.Collections/List",
            Self::CollectionExists => "/qdrant.Collections/CollectionExists",
            Self::Upsert => "/qdrant.Points/Upsert",
            Self::Delete => "/qdrant.Points/Delete",
            Self::SetPayload => "/qdrant.Points/SetPayload",
            Self::CreateFieldIndex => "/qdrant.Points/CreateFieldIndex",
            Self::DeleteFieldIndex => "/qdrant.Points/DeleteFieldIndex",
            Self::Get => "/qdrant.Points/Get",
            Self::Scroll => "/qdrant.Points/Scroll",
            Self::Query => "/qdrant.Points/Query",
            Self::QueryBatch => "/qdrant.Points/QueryBatch",
            Self::Count => "/qdrant.Points/Count",
        }
    }

    /// Finds the call of a path.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.path() == path)
    }

    /// Says whether the call changes points.
    #[must_use]
    pub const fn writes_points(self) -> bool {
        matches!(self, Self::Upsert | Self::Delete | Self::SetPayload)
    }
}
