//! `DELETE /api/v1/sync/connections/{id}`: forgets a connection.

use axum::extract::State as Shared;
use axum::http::StatusCode;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::{admit, no_connection};
use crate::access::require_deleter;
use crate::state::State;
use crate::store::{self, Forgotten};

/// Forgets a connection with its jobs, its rejects, its schedule and its webhook. What it delivered stays in its target.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    delete, path = "/api/v1/sync/connections/{id}", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id")),
    responses(
        (status = 204, description = "Forgotten"),
        (status = 400, description = "The request names no tenant, or no connection"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such connection"),
        (status = 409, description = "The connection has an active job"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn delete(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    require_deleter(&caller)?;
    admit(&state, &caller, &judge, (id, action::SYNC_START)).await?;
    match store::forget_connection(&state.pool, &caller.scope, id).await? {
        Forgotten::Done => Ok(StatusCode::NO_CONTENT),
        Forgotten::Busy(active) => {
            let problem = Problem::field(Code::SyncInProgress, "activeJobId", active.to_string());
            Err(Problem {
                detail: format!("the connection has an active job, {active}"),
                ..problem
            })
        }
        Forgotten::NoConnection => Err(no_connection(id)),
    }
}
