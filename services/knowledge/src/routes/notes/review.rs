//! `POST /api/v1/notes/review`: the next step in the life of a note.

use axum::extract::State as Shared;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use crate::by::By;
use crate::item::change::Precondition;
use crate::item::{Kind, Status};
use crate::path::ItemPath;
use crate::routes::knowledge::create::{Stored, respond};
use crate::routes::refusal::{absent, path_problem};
use crate::state::State;
use crate::store::{self, Next, Wanted};

/// Where a review leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The author asks for a review.
    Propose,
    /// The author works on it again.
    Withdraw,
    /// A reviewer takes it.
    Accept,
    /// A reviewer does not.
    Reject,
}

impl Decision {
    fn status(self) -> Status {
        match self {
            Self::Propose => Status::Proposed,
            Self::Withdraw => Status::Draft,
            Self::Accept => Status::Accepted,
            Self::Reject => Status::Rejected,
        }
    }
}

/// A step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ReviewRequest)]
pub struct Request {
    /// The note's path.
    pub path: String,
    /// The version that was looked at.
    pub version: i64,
    /// Where it leads.
    pub decision: Decision,
    /// What to say about it in the history, at most 1024 bytes.
    pub comment: Option<String>,
}

/// Takes a note a step further: draft, proposed, accepted or rejected.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/notes/review", tag = "notes", request_body = Request,
    responses(
        (status = 200, description = "The note in its new status", body = Stored),
        (status = 403, description = "It takes a reviewer"),
        (status = 404, description = "The tenant has no such note"),
        (status = 409, description = "The note's life does not go there"),
        (status = 412, description = "The note was changed since it was looked at"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn review(by: By, Shared(state): Shared<State>, Json(request): Json<Request>) -> Result<Response, Problem> {
    let path = ItemPath::parse(&request.path).map_err(|error| path_problem("/path", &error))?;
    if request
        .comment
        .as_ref()
        .is_some_and(|text| text.len() > 1024 || text.contains('\0'))
    {
        let message = "a comment has at most 1024 bytes, and no NUL";
        return Err(Problem::field(Code::InvalidBody, "/comment", message));
    }
    store::fetch(&state.pool, &by.scope, &path)
        .await
        .map_err(|error| Problem::database(&error))?
        .filter(|one| !one.deleted && one.snapshot.attributes.kind == Kind::Note)
        .filter(|one| by.rights.may_read(&one.author, one.snapshot.attributes.status))
        .ok_or_else(|| absent(&path))?;
    let wanted = Wanted {
        path,
        // What it says is what it says when its turn comes, whatever was read here.
        next: Next::Status(request.decision.status()),
        demanded: Precondition::Version(request.version),
        message: request.comment,
    };
    let written = store::put(&state.pool, &by, wanted).await?;
    respond(&state, &by, written).await
}
