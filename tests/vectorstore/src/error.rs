//! What a call can be refused for, in Qdrant's own words and with Qdrant's own status codes.
//!
//! Clients look at the code, people at the text: both follow Qdrant 1.19 (`StorageError` and its conversion to
//! a gRPC status), so that code written against the stand-in meets nothing new on a real server.

use tonic::{Code, Status};

/// A refused call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("Not found: Collection `{0}` doesn't exist!")]
    NoCollection(String),
    #[error("Wrong input: Collection `{0}` already exists!")]
    CollectionExists(String),
    #[error("Wrong input: {0}")]
    WrongInput(String),
    #[error("Wrong input: Vector dimension error: expected dim: {expected}, got {got}{place}")]
    Dimension {
        expected: usize,
        got: usize,
        /// Empty, or ` for vector 'name'`.
        place: String,
    },
    #[error("Wrong input: Not existing vector name error: {0}")]
    NoVector(String),
    #[error("{0} is not implemented by aeterna-vectorstore, the stand-in for Qdrant")]
    Unsupported(String),
    #[error("Service internal error: {0}")]
    Disk(#[from] DiskError),
}

/// The disk did not do what it was asked to, or holds what nobody wrote.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The key-value store refused an operation.
    #[error("the key-value store failed")]
    Store(#[from] fjall::Error),
    /// A stored record could not be read.
    #[error("a stored record cannot be decoded")]
    Decode(#[from] prost::DecodeError),
    /// A stored record has a key of no known form.
    #[error("a stored record has a malformed key")]
    Key,
    /// A stored point does not fit its collection.
    #[error("a stored point does not fit its collection")]
    Shape,
}

impl CallError {
    /// Refuses a request for what is written in it.
    pub(crate) fn wrong_input(text: impl Into<String>) -> Self {
        Self::WrongInput(text.into())
    }

    /// Refuses what a real Qdrant can do and this server cannot.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    fn code(&self) -> Code {
        match self {
            Self::NoCollection(_) => Code::NotFound,
            Self::CollectionExists(_) => Code::AlreadyExists,
            Self::WrongInput(_) | Self::Dimension { .. } | Self::NoVector(_) => Code::InvalidArgument,
            Self::Unsupported(_) => Code::Unimplemented,
            Self::Disk(_) => Code::Internal,
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        Status::new(error.code(), error.to_string())
    }
}
