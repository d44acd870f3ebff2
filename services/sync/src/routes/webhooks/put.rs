//! `PUT /api/v1/sync/webhooks/{connectionId}`: takes deliveries for a connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};

use super::{Shown, show};
use crate::access::{require_writer, roles_of};
use crate::secrets;
use crate::state::State;
use crate::store;

/// What deliveries are signed with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WebhookRequest)]
pub struct Request {
    /// The name of the secret: that of its file, less `.hmac`.
    pub secret_ref: String,
}

/// Takes deliveries in GitHub's shape for a connection. Its jobs carry the roles that the caller has now.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    put, path = "/api/v1/sync/webhooks/{connectionId}", tag = "webhooks", request_body = Request,
    params(("connectionId" = Uuid, Path, description = "The connection")),
    responses(
        (status = 200, description = "Set", body = Shown),
        (status = 400, description = "The request names no tenant, or is not JSON"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such connection"),
        (status = 422, description = "A field does not fit, or the tenant has no such secret"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn put(
    caller: Caller,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
    Json(request): Json<Request>,
) -> Result<Reply<Shown>, Problem> {
    require_writer(&caller)?;
    let refused = |message: &str| Problem::field(Code::InvalidBody, "/secretRef", message);
    if !secrets::is_name(&request.secret_ref) {
        return Err(refused(
            "the name of a secret: letters, digits, '-', '_' and '.', at most 128",
        ));
    }
    let secret = state
        .places
        .secrets
        .read_hmac(caller.scope.tenant(), &request.secret_ref)
        .await;
    secret.map_err(|failure| refused(&failure.message))?;
    let (which, who) = ((connection, request.secret_ref.as_str()), caller.subject.as_str());
    let webhook = store::put_webhook(&state.pool, &caller.scope, which, (who, &roles_of(&caller))).await?;
    let webhook = webhook.ok_or_else(|| {
        let message = format!("the tenant has no connection {connection}");
        Problem::new(Code::ConnectionNotFound, message)
    })?;
    Ok(Reply(show(&caller, webhook)))
}
