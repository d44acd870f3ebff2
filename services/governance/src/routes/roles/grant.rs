//! `POST /api/v1/roles/grant`.

use axum::Json as Body;
use axum::extract::State as Shared;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::Problem;

use super::change::{Change, Request, View, change, check};
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;

/// Gives a role. It counts at once, beside the roles of tokens.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/roles/grant", tag = "roles", request_body = Request,
    responses(
        (status = 200, description = "What is remembered now", body = View),
        (status = 403, description = "The caller may not, or the role is above his own"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn grant(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(request): Json<Request>,
) -> Result<Body<View>, Problem> {
    check("", &request.principal, request.role)?;
    let desk = Admitted::open(&state, &caller, origin, action::ROLE_GRANT, &request.principal).await?;
    Ok(Body(change(desk, &request, Change::Grant).await?))
}
