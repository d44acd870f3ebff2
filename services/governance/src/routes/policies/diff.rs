//! `POST /api/v1/policies/{id}/diff`: what differs between two versions.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::Problem;

use super::view::absent;
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::policy::diff::{Change, fields, lines};
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies;

/// Which two versions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiffRequest)]
pub struct Request {
    /// The older one.
    pub from: i32,
    /// The newer one; the one in force unless said.
    pub to: Option<i32>,
}

/// What differs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Difference {
    /// The older version.
    pub from: i32,
    /// The newer version.
    pub to: i32,
    /// Fields and rules that differ.
    pub changes: Vec<Change>,
    /// The lines of the Cedar text: of both behind a space, gone behind `-`, come behind `+`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cedar: Vec<String>,
}

/// Compares two versions of a policy.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies/{id}/diff", tag = "policies", request_body = Request,
    params(("id" = Uuid, Path, description = "The policy's id")),
    responses(
        (status = 200, description = "What differs", body = Difference),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such policy, or no such version"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn diff(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Json(request): Json<Request>,
) -> Result<Body<Difference>, Problem> {
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_READ, &id.to_string()).await?;
    let before = policies::fetch(&mut desk.tx, id, Some(request.from))
        .await
        .or_problem()?;
    let after = policies::fetch(&mut desk.tx, id, request.to).await.or_problem()?;
    desk.close().await?;
    let (before, after) = before.zip(after).ok_or_else(|| absent(id))?;
    let text = |of: &policies::Stored| of.document.cedar.clone().unwrap_or_default();
    Ok(Body(Difference {
        from: before.version,
        to: after.version,
        changes: fields(&before.document, &after.document),
        cedar: lines(&text(&before), &text(&after)),
    }))
}
