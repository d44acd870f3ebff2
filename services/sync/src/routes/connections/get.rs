//! `GET /api/v1/sync/connections/{id}`: one connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::no_connection;
use crate::state::State;
use crate::store::{self, ShownConnection};

/// Returns a connection.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/connections/{id}", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id")),
    responses(
        (status = 200, description = "The connection", body = ShownConnection),
        (status = 400, description = "The request names no tenant, or no connection"),
        (status = 404, description = "The tenant has no such connection"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<Reply<ShownConnection>, Problem> {
    let found = store::list_connections(&state.pool, &caller.scope, Some(id), None, 1).await?;
    found.into_iter().next().map(Reply).ok_or_else(|| no_connection(id))
}
