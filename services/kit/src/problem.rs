//! Errors as `application/problem+json` (RFC 9457), all of them: ours, axum's own, panics and timeouts.
//!
//! A handler's error enum becomes a [`Problem`]; a layer of the HTTP stack writes the body, for it knows the request id.
//! What went wrong inside is logged there once and never shown.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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
                | Self::Unavailable
                | Self::Timeout
        )
    }
}

/// One field that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body, or the name of a header or parameter.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where in a text of many lines, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column there, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// A sentence about this occurrence, for the caller.
    pub detail: String,
    /// The fields that do not fit.
    pub errors: Vec<FieldError>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Problem {
    /// Makes a problem with a sentence for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after = code.is_retryable().then_some(1);
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after,
            cause: None,
        }
    }

    /// Makes the problem of a field that does not fit.
    pub fn field(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldError {
            pointer: pointer.into(),
            message: message.clone(),
            line: None,
            column: None,
        };
        Self {
            errors: vec![error],
            ..Self::new(code, message)
        }
    }

    /// Makes a problem whose cause is logged and not shown.
    pub fn hiding(code: Code, detail: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            text = format!("{text}: {source}");
            next = source.source();
        }
        Self {
            cause: Some(text),
            ..Self::new(code, detail)
        }
    }

    /// Makes the problem of a database error: away, or our fault.
    #[must_use]
    pub fn database(error: &sqlx::Error) -> Self {
        if crate::db::is_unavailable(error) {
            Self::hiding(Code::Unavailable, "the database does not answer; try again soon", error)
        } else {
            Self::hiding(Code::Internal, "the request could not be served", error)
        }
    }

    /// Writes the response. `request_id` is in the body, so that a report can be found in the log.
    pub(crate) fn render(&self, request_id: &str, instance: &str) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            instance: &'a str,
            code: &'static str,
            retryable: bool,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
            errors: &'a [FieldError],
        }
        let (code, status, title) = self.code.parts();
        let body = Body {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            code,
            retryable: self.code.is_retryable(),
            request_id,
            errors: &self.errors,
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to the layer that knows the request id.
    fn into_response(self) -> Response {
        let (_, status, _) = self.code.parts();
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
