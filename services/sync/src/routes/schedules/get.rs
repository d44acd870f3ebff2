//! `GET /api/v1/sync/schedules/{connectionId}`: the schedule of a connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::no_schedule;
use crate::state::State;
use crate::store::{self, Schedule};

/// Returns the schedule of a connection.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/schedules/{connectionId}", tag = "schedules",
    params(("connectionId" = Uuid, Path, description = "The connection")),
    responses(
        (status = 200, description = "The schedule", body = Schedule),
        (status = 400, description = "The request names no tenant, or no connection"),
        (status = 404, description = "The connection has no schedule"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
) -> Result<Reply<Schedule>, Problem> {
    let found = store::list_schedules(&state.pool, &caller.scope, Some(connection), None, 1).await?;
    let found = found.into_iter().next();
    found.map(Reply).ok_or_else(|| no_schedule(connection))
}
