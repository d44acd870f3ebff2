//! What can go wrong with Qdrant, by what the caller must do about it.

use qdrant_client::QdrantError;
use uuid::Uuid;

/// The result of an operation on Qdrant.
pub type Result<T> = std::result::Result<T, Error>;

/// One variant for each way in which a caller must act differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The collection is gone: read the route again.
    #[error("collection {collection} does not exist")]
    MissingCollection {
        /// The collection.
        collection: String,
    },
    /// The store did not answer in time, or could not be reached: whether it applied the request is unknown.
    #[error("the vector store did not {operation}: {reason}")]
    Unavailable {
        /// What was asked.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
    /// The store finds the request, or something in it, wrong, and would again.
    #[error("the vector store refuses to {operation}: {reason}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Its answer.
        reason: String,
    },
    /// The store does not let us, whatever the request holds: a wrong key, an unknown call, a state of its own.
    #[error("the vector store does not let us {operation}: {reason}")]
    Denied {
        /// What was asked.
        operation: &'static str,
        /// Its answer.
        reason: String,
    },
    /// The store refuses these points; all others of the batch are applied.
    #[error("the vector store refuses {} points, the first is {first}: {reason}", points.len())]
    RefusedPoints {
        /// The points refused.
        points: Vec<Uuid>,
        /// The first of them.
        first: Uuid,
        /// The answer to it.
        reason: String,
    },
    /// The store answered with another status than `Completed` (rule R4).
    #[error("the vector store only acknowledged to {operation}, with status {status}")]
    NotCompleted {
        /// What was asked.
        operation: &'static str,
        /// The status.
        status: i32,
    },
    /// The collection is another life of the shard, or not ours.
    #[error("collection {collection} carries identity {found:?}, not {expected}")]
    OtherIdentity {
        /// The collection.
        collection: String,
        /// The identity that the shard has.
        expected: Uuid,
        /// What the reserved point says.
        found: Option<String>,
    },
    /// The collection has vectors of another dimension.
    #[error("collection {collection} has vectors of {found} dimensions, the model has {expected}")]
    OtherDimension {
        /// The collection.
        collection: String,
        /// The model's dimension.
        expected: u64,
        /// The collection's dimension; none when it has no vector of our name.
        found: String,
    },
    /// The store's URL is not one.
    #[error("{url} is not a URL of a vector store: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Sorts an error of the client.
    pub(super) fn of(operation: &'static str, collection: &str, error: &QdrantError) -> Self {
        let QdrantError::ResponseError { status } = error else {
            return Self::Unavailable {
                operation,
                reason: error.to_string(),
            };
        };
        match status.code() {
            tonic::Code::NotFound => Self::MissingCollection {
                collection: collection.to_owned(),
            },
            tonic::Code::InvalidArgument => Self::Refused {
                operation,
                reason: status.message().to_owned(),
            },
            tonic::Code::Unimplemented
            | tonic::Code::PermissionDenied
            | tonic::Code::Unauthenticated
            | tonic::Code::AlreadyExists
            | tonic::Code::FailedPrecondition
            | tonic::Code::OutOfRange => Self::Denied {
                operation,
                reason: format!("{:?}: {}", status.code(), status.message()),
            },
            tonic::Code::Ok
            | tonic::Code::Cancelled
            | tonic::Code::Unknown
            | tonic::Code::DeadlineExceeded
            | tonic::Code::ResourceExhausted
            | tonic::Code::Aborted
            | tonic::Code::Internal
            | tonic::Code::Unavailable
            | tonic::Code::DataLoss => Self::Unavailable {
                operation,
                reason: format!("{:?}: {}", status.code(), status.message()),
            },
        }
    }

    /// Tells whether the same request may succeed later without a change of ours.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NotCompleted { .. } => true,
            Self::MissingCollection { .. }
            | Self::Refused { .. }
            | Self::Denied { .. }
            | Self::RefusedPoints { .. }
            | Self::OtherIdentity { .. }
            | Self::OtherDimension { .. }
            | Self::Url { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(code: tonic::Code) -> Error {
        let status = tonic::Status::new(code, "no");
        Error::of("take points", "memories", &QdrantError::ResponseError { status })
    }

    #[test]
    fn only_a_batch_that_the_store_finds_wrong_is_bisected() {
        use tonic::Code;
        assert!(matches!(sort(Code::InvalidArgument), Error::Refused { .. }));
        for code in [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented] {
            assert!(matches!(sort(code), Error::Denied { .. }), "{code:?}");
        }
        assert!(matches!(sort(Code::NotFound), Error::MissingCollection { .. }));
    }
}
