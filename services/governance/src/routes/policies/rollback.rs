//! `POST /api/v1/policies/{id}/rollback`: a new version that says what an old one said.

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::Problem;

use super::view::{View, absent, check, check_room, if_match, require_version, show_changed};
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies;

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RollbackRequest)]
pub struct Request {
    /// The version whose content counts again, its status included.
    pub version: i32,
}

/// Goes back to an old version by a new one.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies/{id}/rollback", tag = "policies", request_body = Request,
    params(
        ("id" = Uuid, Path, description = "The policy's id"),
        ("If-Match" = String, Header, description = "The ETag of the version that is in force now"),
    ),
    responses(
        (status = 200, description = "The new version", body = View),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such policy, or no such version"),
        (status = 412, description = "Another version is in force"),
        (status = 422, description = "A field does not fit, or the old text no longer fits the schema"),
        (status = 428, description = "If-Match is missing"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn rollback(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_UPDATE, &id.to_string()).await?;
    let current = policies::lock(&mut desk.tx, id)
        .await
        .or_problem()?
        .ok_or_else(|| absent(id))?;
    require_version(current.version, expected)?;
    let old = policies::fetch(&mut desk.tx, id, Some(request.version))
        .await
        .or_problem()?;
    let old = old.ok_or_else(|| absent(id))?;
    // It fitted when it was written; the schema may have grown stricter since.
    check(&old.document).await?;
    let next = current.version + 1;
    let stored = policies::add_version(&mut desk.tx, id, next, &old.document, &caller.subject)
        .await
        .or_problem()?;
    check_room(&mut desk.tx, &stored).await?;
    let view = show_changed(&mut desk.tx, stored).await?;
    let mut details = view.details();
    details.insert("from".to_owned(), json!(request.version));
    desk.note("policy.rollback", ("Policy", &id.to_string()), details)
        .await?;
    desk.close().await?;
    Ok(view.respond(StatusCode::OK))
}
