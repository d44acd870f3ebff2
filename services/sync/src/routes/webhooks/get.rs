//! `GET /api/v1/sync/webhooks/{connectionId}`: the webhook of a connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::{Shown, no_webhook, show};
use crate::state::State;
use crate::store;

/// Returns the webhook of a connection.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/webhooks/{connectionId}", tag = "webhooks",
    params(("connectionId" = Uuid, Path, description = "The connection")),
    responses(
        (status = 200, description = "The webhook", body = Shown),
        (status = 400, description = "The request names no tenant, or no connection"),
        (status = 404, description = "The connection has no webhook"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
) -> Result<Reply<Shown>, Problem> {
    let webhook = store::fetch_webhook(&state.pool, &caller.scope, connection).await?;
    let webhook = webhook.ok_or_else(|| no_webhook(connection))?;
    Ok(Reply(show(&caller, webhook)))
}
