//! `DELETE /api/v1/sync/schedules/{connectionId}`: removes the schedule of a connection.

use axum::extract::State as Shared;
use axum::http::StatusCode;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::no_schedule;
use crate::access::require_starter;
use crate::routes::connections::admit_if_there;
use crate::state::State;
use crate::store;

/// Removes the schedule of a connection; a job that it started goes on.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    delete, path = "/api/v1/sync/schedules/{connectionId}", tag = "schedules",
    params(("connectionId" = Uuid, Path, description = "The connection")),
    responses(
        (status = 204, description = "Removed"),
        (status = 400, description = "The request names no tenant, or no connection"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The connection has no schedule"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn delete(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    require_starter(&caller)?;
    let admitted = admit_if_there(&state, &caller, &judge, (connection, action::SYNC_START)).await?;
    if admitted.is_some() && store::delete_schedule(&state.pool, &caller.scope, connection).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_schedule(connection))
    }
}
