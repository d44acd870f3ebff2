//! What can go wrong with routes, shards and moves.

use crate::ids::{MoveId, ShardId};

/// The result of an operation on the schema `routing`.
pub type Result<T> = std::result::Result<T, Error>;

/// One variant for each operation that failed or was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or refused the statement.
    #[error("cannot {operation}")]
    Database {
        /// What was tried, as in "record the move of acme".
        operation: String,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// No transaction could be opened.
    #[error("cannot open a transaction to {operation}")]
    Transaction {
        /// What was to be done in it.
        operation: String,
        /// Why it failed.
        #[source]
        source: aeterna_kit::db::Error,
    },
    /// A newer leader has raised the term: this process's intents no longer count.
    #[error("leader term {mine} is over, the term is {current}")]
    TermOver {
        /// The term of the process that asked.
        mine: i64,
        /// The term in force.
        current: i64,
    },
    /// Another claim holds the move, or its step is not the expected one.
    #[error("move {move_id} is no longer ours: attempt or step has changed")]
    Fenced {
        /// The move.
        move_id: MoveId,
    },
    /// Another AeternaCluster owns the database.
    #[error("the database belongs to another AeternaCluster, in namespace {namespace} with uid {uid}")]
    DatabaseOwnedByAnother {
        /// Its namespace.
        namespace: String,
        /// Its uid.
        uid: uuid::Uuid,
        /// The Kubernetes that it lives in, if that is known.
        kubernetes: Option<uuid::Uuid>,
    },
    /// Another TenantShard owns the tenant.
    #[error("tenant is owned by TenantShard {owner}")]
    TenantOwnedByAnother {
        /// `namespace/name` of the owner.
        owner: String,
    },
    /// The tenant has no route.
    #[error("tenant {tenant} is not registered")]
    UnknownTenant {
        /// The tenant id.
        tenant: String,
    },
    /// The shard has no row.
    #[error("shard {shard} is not registered")]
    UnknownShard {
        /// The shard.
        shard: ShardId,
    },
    /// The shard does not take tenants now.
    #[error("shard {shard} is {state}, not ready")]
    ShardNotReady {
        /// The shard.
        shard: ShardId,
        /// Its state.
        state: String,
    },
    /// The shard holds as many tenants as it may.
    #[error("shard {shard} is full: {capacity} tenants")]
    ShardFull {
        /// The shard.
        shard: ShardId,
        /// Its capacity in tenants.
        capacity: i32,
    },
    /// The name is that of a shard of the other kind.
    #[error("shard {shard} is {found}; choose another name for a {wanted} shard")]
    ShardKindDiffers {
        /// The shard.
        shard: ShardId,
        /// What it is.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The shard holds vectors of another model.
    #[error("shard {shard} holds vectors of {found}, not of {wanted}")]
    ShardModelDiffers {
        /// The shard.
        shard: ShardId,
        /// Its model.
        found: String,
        /// The model that was asked for.
        wanted: String,
    },
    /// The shard is in another vector store.
    #[error("shard {shard} is in the vector store {found}, not in {wanted}")]
    ShardEndpointDiffers {
        /// The shard.
        shard: ShardId,
        /// Its store's URL.
        found: String,
        /// The URL that was asked for.
        wanted: String,
    },
    /// The shard is dedicated to another tenant, whose name is nobody else's business.
    #[error("shard {shard} is dedicated to another tenant")]
    ShardOfAnotherTenant {
        /// The shard.
        shard: ShardId,
    },
    /// A collection name was taken once already, by this shard's earlier life or by another shard.
    #[error("collection {collection} was used before; a name is used once")]
    CollectionNameUsed {
        /// The collection.
        collection: String,
    },
    /// The tenant has a move that has not reached its cutover yet.
    #[error("tenant {tenant} is already moving")]
    AlreadyMoving {
        /// The tenant id.
        tenant: String,
    },
    /// A stored value is not of its form: written by a newer release, or by hand.
    #[error("column {column} holds {value:?}, which this release does not know")]
    UnknownValue {
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Error {
    /// Wraps a failed statement with the operation it belonged to.
    pub(crate) fn database(operation: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Database { operation, source }
    }

    /// Wraps a transaction that could not be opened.
    pub(crate) fn transaction(operation: impl Into<String>) -> impl FnOnce(aeterna_kit::db::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Transaction { operation, source }
    }
}
