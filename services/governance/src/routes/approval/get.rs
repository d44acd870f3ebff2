//! `GET /api/v1/approval/{id}`: one request with its votes.

use axum::Json;
use axum::extract::State as Shared;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::settle::Case;
use super::view::View;
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::approvals::Name;

/// Returns a request. Its counts are of this moment: of votes whose voters may still give them.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/approval/{id}", tag = "approval", params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "The request", body = View),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such request"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<Json<View>, Problem> {
    let mut desk = Admitted::open(&state, &caller, origin, action::APPROVAL_READ, &id.to_string()).await?;
    let case = Case::fetch(&mut desk, &Name::Id(id)).await?;
    desk.close().await?;
    Ok(Json(case.view()))
}
