//! Errors as `application/problem+json` (RFC 9457), all of them: ours, axum's own, panics and timeouts.
//!
//! A handler's error enum becomes a [`Problem`]; a layer of the HTTP stack writes the body, for it knows the request id.
//! What went wrong inside is logged there once and never shown.

mod report;

use axum::http::StatusCode;

pub use report::{Body, FieldError, Problem};

/// What a client can tell errors apart by. The text is part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The body, path or query is not UTF-8.
    InvalidUtf8,
    /// The body is JSON, but not what the endpoint takes.
    InvalidBody,
    /// A part of the path or the query is not what the endpoint takes.
    InvalidParameter,
    /// A header is not what the endpoint takes.
    InvalidHeader,
    /// The memory layer is none of the seven.
    InvalidLayer,
    /// The content is empty or too long.
    InvalidContent,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body is larger than the endpoint takes.
    PayloadTooLarge,
    /// No such path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// No such memory.
    MemoryNotFound,
    /// The memory was deleted.
    MemoryDeleted,
    /// The id is taken by other content.
    MemoryConflict,
    /// Neither the token nor a header names a tenant.
    MissingTenant,
    /// The tenant id is not valid.
    InvalidTenant,
    /// The tenant is not registered, and no TenantShard declares it.
    TenantNotDeclared,
    /// The tenant takes no writes.
    TenantNotWritable,
    /// No valid token.
    Unauthenticated,
    /// The token does not allow this.
    Forbidden,
    /// More requests than the tenant may make.
    RateLimited,
    /// More requests than this instance can work on.
    Overloaded,
    /// The tenant is at the cutover of its move.
    TenantMoving,
    /// The embedding model did not answer, or answered something else.
    EmbeddingFailed,
    /// No shared shard has room for a new tenant.
    NoShardHasRoom,
    // Governance.
    /// No such policy, or no such version of it.
    PolicyNotFound,
    /// The name is taken in this layer and scope.
    PolicyExists,
    /// The policy's rules or text cannot be taken.
    InvalidPolicy,
    /// The resource is at another version than `If-Match` says.
    PreconditionFailed,
    /// A change needs `If-Match`.
    PreconditionRequired,
    /// No such approval request.
    ApprovalNotFound,
    /// Nobody decides on a request of his own, nor through an agent.
    SelfApproval,
    /// The caller holds none of the step's roles.
    NotEligible,
    /// The caller has decided before.
    AlreadyDecided,
    /// The request is no longer pending.
    NotPending,
    /// The request is not approved.
    NotApproved,
    /// The request was applied before.
    AlreadyApplied,
    /// The payload is another than the one that was looked at.
    PayloadChanged,
    /// The request's time is over.
    Expired,
    /// No set of approvers could satisfy the rule.
    Unsatisfiable,
    /// A request of this risk needs a justification.
    JustificationRequired,
    /// This instance has no key to sign with.
    NoSigningKey,
    /// The policies known here are too old to write by.
    PolicyStale,
    /// A store that this needs is away.
    Unavailable,
    /// The deadline of the request is over.
    Timeout,
    /// Our fault.
    Internal,
    // Knowledge.
    /// No such item, or none that the caller may see.
    KnowledgeNotFound,
    /// The item was deleted.
    KnowledgeDeleted,
    /// The path holds another item.
    KnowledgeConflict,
    /// The item has no such version.
    VersionNotFound,
    /// The path is none.
    InvalidPath,
    /// The path differs from another by case alone, or lies above or below another item.
    PathCollision,
    /// The front matter cannot be read.
    InvalidFrontMatter,
    /// A section that the kind needs is missing.
    MissingSection,
    /// An accepted item of this kind does not change.
    ImmutableKind,
    /// The life of an item does not go there.
    InvalidTransition,
    /// The cursor is none of ours, or belongs to another question.
    InvalidCursor,
    /// There is too little to make a note of.
    InsufficientEvents,
    /// The archive is none, or holds what cannot be an item.
    InvalidArchive,
    /// Some files of the archive cannot be written.
    ImportRefused,
    // Sync.
    /// No such job.
    JobNotFound,
    /// No such connection.
    ConnectionNotFound,
    /// No such reject.
    RejectNotFound,
    /// The connection has no schedule.
    ScheduleNotFound,
    /// The connection has no webhook.
    WebhookNotFound,
    /// The connection has an active job.
    SyncInProgress,
    /// The idempotency key was used for another request.
    IdempotencyConflict,
    /// The service is not set up for sources of this type.
    SourceDisabled,
    /// The service is not set up for targets of this type.
    TargetDisabled,
}

impl Code {
    /// Returns the code, its status and its title.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: one entry a code")]
    pub fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::MalformedJson => ("MALFORMED_JSON", StatusCode::BAD_REQUEST, "The body is not JSON"),
            Self::InvalidUtf8 => ("INVALID_UTF8", StatusCode::BAD_REQUEST, "The request is not UTF-8"),
            Self::InvalidBody => (
                "INVALID_BODY",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The body does not fit",
            ),
            Self::InvalidParameter => ("INVALID_PARAMETER", StatusCode::BAD_REQUEST, "A parameter does not fit"),
            Self::InvalidHeader => ("INVALID_HEADER", StatusCode::BAD_REQUEST, "A header does not fit"),
            Self::InvalidLayer => (
                "INVALID_LAYER",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The layer is not known",
            ),
            Self::InvalidContent => (
                "INVALID_CONTENT",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The content is empty or too long",
            ),
            Self::UnsupportedMediaType => (
                "UNSUPPORTED_MEDIA_TYPE",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/json",
            ),
            Self::PayloadTooLarge => (
                "PAYLOAD_TOO_LARGE",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
            ),
            Self::NotFound => ("NOT_FOUND", StatusCode::NOT_FOUND, "There is no such path"),
            Self::MethodNotAllowed => (
                "METHOD_NOT_ALLOWED",
                StatusCode::METHOD_NOT_ALLOWED,
                "The path takes other methods",
            ),
            Self::MemoryNotFound => ("MEMORY_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such memory"),
            Self::MemoryDeleted => ("MEMORY_DELETED", StatusCode::GONE, "The memory was deleted"),
            Self::MemoryConflict => (
                "MEMORY_CONFLICT",
                StatusCode::CONFLICT,
                "The id is taken by other content",
            ),
            Self::MissingTenant => ("MISSING_TENANT", StatusCode::BAD_REQUEST, "The request names no tenant"),
            Self::InvalidTenant => ("INVALID_TENANT", StatusCode::BAD_REQUEST, "The tenant id is not valid"),
            Self::TenantNotDeclared => (
                "TENANT_NOT_DECLARED",
                StatusCode::FORBIDDEN,
                "No TenantShard declares the tenant",
            ),
            Self::TenantNotWritable => (
                "TENANT_NOT_WRITABLE",
                StatusCode::FORBIDDEN,
                "The tenant takes no writes",
            ),
            Self::Unauthenticated => ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, "A valid token is needed"),
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN, "The token does not allow this"),
            Self::RateLimited => (
                "RATE_LIMITED",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests of the tenant",
            ),
            Self::Overloaded => (
                "OVERLOADED",
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many requests at once",
            ),
            Self::TenantMoving => (
                "TENANT_MOVING",
                StatusCode::SERVICE_UNAVAILABLE,
                "The tenant is being moved",
            ),
            Self::EmbeddingFailed => (
                "EMBEDDING_FAILED",
                StatusCode::BAD_GATEWAY,
                "The text could not be embedded",
            ),
            Self::NoShardHasRoom => (
                "NO_SHARD_HAS_ROOM",
                StatusCode::INSUFFICIENT_STORAGE,
                "There is no room for another tenant",
            ),
            // Governance.
            Self::PolicyNotFound => ("POLICY_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such policy"),
            Self::PolicyExists => ("POLICY_EXISTS", StatusCode::CONFLICT, "The policy's name is taken"),
            Self::InvalidPolicy => (
                "INVALID_POLICY",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The policy is not valid",
            ),
            Self::PreconditionFailed => (
                "PRECONDITION_FAILED",
                StatusCode::PRECONDITION_FAILED,
                "The resource has changed",
            ),
            Self::PreconditionRequired => (
                "PRECONDITION_REQUIRED",
                StatusCode::PRECONDITION_REQUIRED,
                "Say which version is changed",
            ),
            Self::ApprovalNotFound => (
                "APPROVAL_NOT_FOUND",
                StatusCode::NOT_FOUND,
                "There is no such approval request",
            ),
            Self::SelfApproval => (
                "SELF_APPROVAL",
                StatusCode::FORBIDDEN,
                "Nobody approves a request of his own",
            ),
            Self::NotEligible => (
                "NOT_ELIGIBLE",
                StatusCode::FORBIDDEN,
                "The caller may not decide on this step",
            ),
            Self::AlreadyDecided => ("ALREADY_DECIDED", StatusCode::CONFLICT, "The caller has decided before"),
            Self::NotPending => ("NOT_PENDING", StatusCode::CONFLICT, "The request is not pending"),
            Self::NotApproved => ("NOT_APPROVED", StatusCode::CONFLICT, "The request is not approved"),
            Self::AlreadyApplied => (
                "ALREADY_APPLIED",
                StatusCode::CONFLICT,
                "The request was applied before",
            ),
            Self::PayloadChanged => ("PAYLOAD_CHANGED", StatusCode::CONFLICT, "The payload has changed"),
            Self::Expired => ("EXPIRED", StatusCode::GONE, "The request has expired"),
            Self::Unsatisfiable => (
                "UNSATISFIABLE_RULE",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The rule can never be satisfied",
            ),
            Self::JustificationRequired => (
                "JUSTIFICATION_REQUIRED",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A justification is needed",
            ),
            Self::NoSigningKey => (
                "NO_SIGNING_KEY",
                StatusCode::NOT_IMPLEMENTED,
                "The service has no signing key",
            ),
            Self::PolicyStale => (
                "POLICY_STALE",
                StatusCode::SERVICE_UNAVAILABLE,
                "The policies are too old to write by",
            ),
            Self::Unavailable => ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, "A store is away"),
            Self::Timeout => ("TIMEOUT", StatusCode::GATEWAY_TIMEOUT, "The request took too long"),
            Self::Internal => (
                "INTERNAL",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something is wrong with this service",
            ),
            // Knowledge.
            Self::KnowledgeNotFound => ("KNOWLEDGE_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such item"),
            Self::KnowledgeDeleted => ("KNOWLEDGE_DELETED", StatusCode::GONE, "The item was deleted"),
            Self::KnowledgeConflict => (
                "KNOWLEDGE_CONFLICT",
                StatusCode::CONFLICT,
                "The path holds another item",
            ),
            Self::VersionNotFound => ("VERSION_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such version"),
            Self::InvalidPath => (
                "INVALID_PATH",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The path does not fit",
            ),
            Self::PathCollision => ("PATH_COLLISION", StatusCode::CONFLICT, "Another path is in the way"),
            Self::InvalidFrontMatter => (
                "INVALID_FRONT_MATTER",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The front matter does not fit",
            ),
            Self::MissingSection => (
                "MISSING_SECTION",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A section is missing",
            ),
            Self::ImmutableKind => (
                "IMMUTABLE_KIND",
                StatusCode::CONFLICT,
                "The item does not change any more",
            ),
            Self::InvalidTransition => (
                "INVALID_TRANSITION",
                StatusCode::CONFLICT,
                "The item's life does not go there",
            ),
            Self::InvalidCursor => ("INVALID_CURSOR", StatusCode::BAD_REQUEST, "The cursor does not fit"),
            Self::InsufficientEvents => (
                "INSUFFICIENT_EVENTS",
                StatusCode::UNPROCESSABLE_ENTITY,
                "There is too little to make a note of",
            ),
            Self::InvalidArchive => (
                "INVALID_ARCHIVE",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The archive does not fit",
            ),
            Self::ImportRefused => ("IMPORT_REFUSED", StatusCode::CONFLICT, "The archive is not imported"),
            // Sync.
            Self::JobNotFound => ("JOB_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such job"),
            Self::ConnectionNotFound => (
                "CONNECTION_NOT_FOUND",
                StatusCode::NOT_FOUND,
                "There is no such connection",
            ),
            Self::RejectNotFound => ("REJECT_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such reject"),
            Self::ScheduleNotFound => (
                "SCHEDULE_NOT_FOUND",
                StatusCode::NOT_FOUND,
                "The connection has no schedule",
            ),
            Self::WebhookNotFound => (
                "WEBHOOK_NOT_FOUND",
                StatusCode::NOT_FOUND,
                "The connection has no webhook",
            ),
            Self::SyncInProgress => ("SYNC_IN_PROGRESS", StatusCode::CONFLICT, "A job is active already"),
            Self::IdempotencyConflict => (
                "IDEMPOTENCY_CONFLICT",
                StatusCode::CONFLICT,
                "The key was used for another request",
            ),
            Self::SourceDisabled => (
                "SOURCE_DISABLED",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The source cannot be read here",
            ),
            Self::TargetDisabled => (
                "TARGET_DISABLED",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The target cannot be reached from here",
            ),
        }
    }

    /// Tells whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::TenantMoving
                | Self::EmbeddingFailed
                | Self::PolicyStale
                | Self::Unavailable
                | Self::Timeout
        )
    }
}
