//! `PUT /api/v1/sync/webhooks/{connectionId}`: takes deliveries for a connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::{Shown, show};
use crate::access::{require_starter, roles_of};
use crate::job::{Limits, Options};
use crate::routes::connections::{admit, no_connection};
use crate::secrets;
use crate::state::State;
use crate::store::{self, NewWebhook};

/// What deliveries are signed with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WebhookRequest)]
pub struct Request {
    /// The name of the secret: that of its file, less `.hmac`.
    pub secret_ref: String,
    /// What each of its jobs may take; beyond, it stops.
    #[serde(default)]
    pub limits: Limits,
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
    judge: Judge,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
    Json(request): Json<Request>,
) -> Result<Reply<Shown>, Problem> {
    require_starter(&caller)?;
    request.limits.check()?;
    let refused = |message: &str| Problem::field(Code::InvalidBody, "/secretRef", message);
    if !secrets::is_name(&request.secret_ref) {
        return Err(refused(
            "the name of a secret: letters, digits, '-', '_' and '.', at most 128",
        ));
    }
    admit(&state, &caller, &judge, (connection, action::SYNC_START)).await?;
    let secret = state
        .places
        .secrets
        .read_hmac(caller.scope.tenant(), &request.secret_ref)
        .await;
    secret.map_err(|failure| refused(&failure.message))?;
    let options = Options {
        limits: request.limits,
        ..Options::default()
    };
    let new = NewWebhook {
        connection,
        secret_ref: &request.secret_ref,
        options: &options,
        created_by: &caller.subject,
        roles: &roles_of(&caller),
    };
    let webhook = store::put_webhook(&state.pool, &caller.scope, new).await?;
    let webhook = webhook.ok_or_else(|| no_connection(connection))?;
    Ok(Reply(show(&caller, webhook)))
}
