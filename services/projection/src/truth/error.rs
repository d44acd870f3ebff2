//! What can go wrong with the truth.

/// The result of an operation on the schema `memory`.
pub type Result<T> = std::result::Result<T, Error>;

/// One variant for each way in which a caller must act differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant has no route.
    #[error("tenant {tenant} is not registered")]
    TenantUnknown {
        /// The tenant id.
        tenant: String,
    },
    /// The route wants another embedding model: embed again with it.
    #[error("the tenant's projection holds vectors of {wanted}")]
    ModelDiffers {
        /// The route's model.
        wanted: String,
    },
    /// The tenant takes no writes.
    #[error("tenant {tenant} takes no writes")]
    NotWritable {
        /// The tenant id.
        tenant: String,
    },
    /// The tenant's fence is closed by a cutover, or its lock queue is long: try again soon.
    #[error("tenant {tenant} is at its cutover")]
    Fenced {
        /// The tenant id.
        tenant: String,
    },
    /// No transaction could be opened.
    #[error("cannot open a transaction to {operation}")]
    Transaction {
        /// What was to be done in it.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: aeterna_kit::db::Error,
    },
    /// The database did not answer, or refused the statement.
    #[error("cannot {operation}")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value is not of its form.
    #[error("row {id} has an embedding of {bytes} bytes, which is not a whole number of f32")]
    Embedding {
        /// The point id of the row.
        id: uuid::Uuid,
        /// The length found.
        bytes: usize,
    },
}

impl Error {
    pub(crate) fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { operation, source }
    }

    pub(crate) fn transaction(operation: &'static str) -> impl FnOnce(aeterna_kit::db::Error) -> Self {
        move |source| Self::Transaction { operation, source }
    }
}
