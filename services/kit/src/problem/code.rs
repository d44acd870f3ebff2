//! What a client can tell errors apart by.

use axum::http::StatusCode;

/// Makes the enum of a table: a line a code.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $text:literal, $status:ident, $title:literal;)*) => {
        /// What a client can tell errors apart by. The text is part of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the code, its status and its title.
            #[must_use]
            pub fn parts(self) -> (&'static str, StatusCode, &'static str) {
                match self {
                    $(Self::$name => ($text, StatusCode::$status, $title),)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson => "MALFORMED_JSON", BAD_REQUEST, "The body is not JSON";
    /// The body, path or query is not UTF-8.
    InvalidUtf8 => "INVALID_UTF8", BAD_REQUEST, "The request is not UTF-8";
    /// The body is JSON, but not what the endpoint takes.
    InvalidBody => "INVALID_BODY", UNPROCESSABLE_ENTITY, "The body does not fit";
    /// A part of the path or the query is not what the endpoint takes.
    InvalidParameter => "INVALID_PARAMETER", BAD_REQUEST, "A parameter does not fit";
    /// A header is not what the endpoint takes.
    InvalidHeader => "INVALID_HEADER", BAD_REQUEST, "A header does not fit";
    /// The memory layer is none of the seven.
    InvalidLayer => "INVALID_LAYER", UNPROCESSABLE_ENTITY, "The layer is not known";
    /// The content is empty or too long.
    InvalidContent => "INVALID_CONTENT", UNPROCESSABLE_ENTITY, "The content is empty or too long";
    /// The body is not `application/json`.
    UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json";
    /// The body is larger than the endpoint takes.
    PayloadTooLarge => "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE, "The body is too large";
    /// No such path.
    NotFound => "NOT_FOUND", NOT_FOUND, "There is no such path";
    /// The path takes other methods.
    MethodNotAllowed => "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED, "The path takes other methods";
    /// No such memory.
    MemoryNotFound => "MEMORY_NOT_FOUND", NOT_FOUND, "There is no such memory";
    /// The memory was deleted.
    MemoryDeleted => "MEMORY_DELETED", GONE, "The memory was deleted";
    /// The id is taken by other content.
    MemoryConflict => "MEMORY_CONFLICT", CONFLICT, "The id is taken by other content";
    /// Neither the token nor a header names a tenant.
    MissingTenant => "MISSING_TENANT", BAD_REQUEST, "The request names no tenant";
    /// The tenant id is not valid.
    InvalidTenant => "INVALID_TENANT", BAD_REQUEST, "The tenant id is not valid";
    /// The tenant is not registered, and no TenantShard declares it.
    TenantNotDeclared => "TENANT_NOT_DECLARED", FORBIDDEN, "No TenantShard declares the tenant";
    /// The tenant takes no writes.
    TenantNotWritable => "TENANT_NOT_WRITABLE", FORBIDDEN, "The tenant takes no writes";
    /// No valid token.
    Unauthenticated => "UNAUTHENTICATED", UNAUTHORIZED, "A valid token is needed";
    /// The token does not allow this.
    Forbidden => "FORBIDDEN", FORBIDDEN, "The token does not allow this";
    /// More requests than the tenant may make.
    RateLimited => "RATE_LIMITED", TOO_MANY_REQUESTS, "Too many requests of the tenant";
    /// More requests than this instance can work on.
    Overloaded => "OVERLOADED", SERVICE_UNAVAILABLE, "Too many requests at once";
    /// The tenant is at the cutover of its move.
    TenantMoving => "TENANT_MOVING", SERVICE_UNAVAILABLE, "The tenant is being moved";
    /// The embedding model did not answer, or answered something else.
    EmbeddingFailed => "EMBEDDING_FAILED", BAD_GATEWAY, "The text could not be embedded";
    /// No shared shard has room for a new tenant.
    NoShardHasRoom => "NO_SHARD_HAS_ROOM", INSUFFICIENT_STORAGE, "There is no room for another tenant";
    // Governance.
    /// No such policy, or no such version of it.
    PolicyNotFound => "POLICY_NOT_FOUND", NOT_FOUND, "There is no such policy";
    /// The name is taken in this layer and scope.
    PolicyExists => "POLICY_EXISTS", CONFLICT, "The policy's name is taken";
    /// The policy's rules or text cannot be taken.
    InvalidPolicy => "INVALID_POLICY", UNPROCESSABLE_ENTITY, "The policy is not valid";
    /// The resource is at another version than `If-Match` says.
    PreconditionFailed => "PRECONDITION_FAILED", PRECONDITION_FAILED, "The resource has changed";
    /// A change needs `If-Match`.
    PreconditionRequired => "PRECONDITION_REQUIRED", PRECONDITION_REQUIRED, "Say which version is changed";
    /// No such approval request.
    ApprovalNotFound => "APPROVAL_NOT_FOUND", NOT_FOUND, "There is no such approval request";
    /// Nobody decides on a request of his own, nor through an agent.
    SelfApproval => "SELF_APPROVAL", FORBIDDEN, "Nobody approves a request of his own";
    /// The caller holds none of the step's roles.
    NotEligible => "NOT_ELIGIBLE", FORBIDDEN, "The caller may not decide on this step";
    /// The caller has decided before.
    AlreadyDecided => "ALREADY_DECIDED", CONFLICT, "The caller has decided before";
    /// The request is no longer pending.
    NotPending => "NOT_PENDING", CONFLICT, "The request is not pending";
    /// The request is not approved.
    NotApproved => "NOT_APPROVED", CONFLICT, "The request is not approved";
    /// The request was applied before.
    AlreadyApplied => "ALREADY_APPLIED", CONFLICT, "The request was applied before";
    /// The payload is another than the one that was looked at.
    PayloadChanged => "PAYLOAD_CHANGED", CONFLICT, "The payload has changed";
    /// The request's time is over.
    Expired => "EXPIRED", GONE, "The request has expired";
    /// No set of approvers could satisfy the rule.
    Unsatisfiable => "UNSATISFIABLE_RULE", UNPROCESSABLE_ENTITY, "The rule can never be satisfied";
    /// A request of this risk needs a justification.
    JustificationRequired => "JUSTIFICATION_REQUIRED", UNPROCESSABLE_ENTITY, "A justification is needed";
    /// This instance has no key to sign with.
    NoSigningKey => "NO_SIGNING_KEY", NOT_IMPLEMENTED, "The service has no signing key";
    /// The policies known here are too old to write by.
    PolicyStale => "POLICY_STALE", SERVICE_UNAVAILABLE, "The policies are too old to write by";
    /// A store that this needs is away.
    Unavailable => "UNAVAILABLE", SERVICE_UNAVAILABLE, "A store is away";
    /// The deadline of the request is over.
    Timeout => "TIMEOUT", GATEWAY_TIMEOUT, "The request took too long";
    /// Our fault.
    Internal => "INTERNAL", INTERNAL_SERVER_ERROR, "Something is wrong with this service";
    // Knowledge.
    /// No such item, or none that the caller may see.
    KnowledgeNotFound => "KNOWLEDGE_NOT_FOUND", NOT_FOUND, "There is no such item";
    /// The item was deleted.
    KnowledgeDeleted => "KNOWLEDGE_DELETED", GONE, "The item was deleted";
    /// The path holds another item.
    KnowledgeConflict => "KNOWLEDGE_CONFLICT", CONFLICT, "The path holds another item";
    /// The item has no such version.
    VersionNotFound => "VERSION_NOT_FOUND", NOT_FOUND, "There is no such version";
    /// The path is none.
    InvalidPath => "INVALID_PATH", UNPROCESSABLE_ENTITY, "The path does not fit";
    /// The path differs from another by case alone, or lies above or below another item.
    PathCollision => "PATH_COLLISION", CONFLICT, "Another path is in the way";
    /// The front matter cannot be read.
    InvalidFrontMatter => "INVALID_FRONT_MATTER", UNPROCESSABLE_ENTITY, "The front matter does not fit";
    /// A section that the kind needs is missing.
    MissingSection => "MISSING_SECTION", UNPROCESSABLE_ENTITY, "A section is missing";
    /// An accepted item of this kind does not change.
    ImmutableKind => "IMMUTABLE_KIND", CONFLICT, "The item does not change any more";
    /// The life of an item does not go there.
    InvalidTransition => "INVALID_TRANSITION", CONFLICT, "The item's life does not go there";
    /// The cursor is none of ours, or belongs to another question.
    InvalidCursor => "INVALID_CURSOR", BAD_REQUEST, "The cursor does not fit";
    /// There is too little to make a note of.
    InsufficientEvents => "INSUFFICIENT_EVENTS", UNPROCESSABLE_ENTITY, "There is too little to make a note of";
    /// The archive is none, or holds what cannot be an item.
    InvalidArchive => "INVALID_ARCHIVE", UNPROCESSABLE_ENTITY, "The archive does not fit";
    /// Some files of the archive cannot be written.
    ImportRefused => "IMPORT_REFUSED", CONFLICT, "The archive is not imported";
    // Sync.
    /// No such job.
    JobNotFound => "JOB_NOT_FOUND", NOT_FOUND, "There is no such job";
    /// No such connection.
    ConnectionNotFound => "CONNECTION_NOT_FOUND", NOT_FOUND, "There is no such connection";
    /// No such reject.
    RejectNotFound => "REJECT_NOT_FOUND", NOT_FOUND, "There is no such reject";
    /// The connection has no schedule.
    ScheduleNotFound => "SCHEDULE_NOT_FOUND", NOT_FOUND, "The connection has no schedule";
    /// The connection has no webhook.
    WebhookNotFound => "WEBHOOK_NOT_FOUND", NOT_FOUND, "The connection has no webhook";
    /// The connection has an active job.
    SyncInProgress => "SYNC_IN_PROGRESS", CONFLICT, "A job is active already";
    /// The idempotency key was used for another request.
    IdempotencyConflict => "IDEMPOTENCY_CONFLICT", CONFLICT, "The key was used for another request";
    /// The service is not set up for sources of this type.
    SourceDisabled => "SOURCE_DISABLED", UNPROCESSABLE_ENTITY, "The source cannot be read here";
    /// The service is not set up for targets of this type.
    TargetDisabled => "TARGET_DISABLED", UNPROCESSABLE_ENTITY, "The target cannot be reached from here";
}

impl Code {
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
