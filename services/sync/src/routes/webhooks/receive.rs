//! `POST /api/v1/sync/webhooks/{tenant}/{connectionId}`: a delivery.
//!
//! The one endpoint without a caller: the sender proves itself by its signature over the body, and by nothing else. Until
//! that is checked nothing is told; a tenant, a connection or a secret that is not there answers as a wrong signature does.

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::http::extract::Path;
use aeterna_kit::ids::TenantId;
use aeterna_kit::problem::{Code, Problem};

use crate::routes::sync::location;
use crate::state::State;
use crate::store::{self, Taken};
use crate::webhook::{concerns, is_delivery_id, is_signed};

/// The header of the signature.
const SIGNATURE: &str = "X-Hub-Signature-256";

/// The header of the delivery's id.
const DELIVERY: &str = "X-GitHub-Delivery";

/// The header of the event's name.
const EVENT: &str = "X-GitHub-Event";

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeliveryOutcome)]
pub enum Outcome {
    /// It started a job.
    Started,
    /// A job follows the one that is active.
    Pending,
    /// It was taken before.
    Duplicate,
    /// It tells of nothing that the connection follows: another branch, another repository, another event.
    Ignored,
}

/// The answer to a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct Received {
    /// What became of it.
    pub outcome: Outcome,
    /// The job that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<Uuid>,
}

/// Takes a delivery in GitHub's shape, signed with the webhook's secret. A push, or for a source of issues a
/// change of one, starts the connection's job; where one is active, another one follows it. The same delivery again does nothing.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/sync/webhooks/{tenant}/{connectionId}", tag = "webhooks", security(()),
    request_body(content = String, content_type = "application/json", description = "The event"),
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("connectionId" = Uuid, Path, description = "The connection"),
        ("X-Hub-Signature-256" = String, Header, description = "sha256= and the HMAC of the body in hex"),
        ("X-GitHub-Delivery" = String, Header, description = "What tells deliveries apart"),
        ("X-GitHub-Event" = String, Header, description = "push, for issues of a repository issues; others are ignored"),
    ),
    responses(
        (status = 202, description = "A job is started, or follows", body = Received),
        (status = 200, description = "Nothing had to be done", body = Received),
        (status = 400, description = "A header does not fit"),
        (status = 401, description = "The signature does not fit"),
        (status = 413, description = "The event is too large"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn receive(
    Shared(state): Shared<State>,
    Path((tenant, connection)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| Problem::unread(&rejection))?;
    let (scope, connection) = authenticate(&state, (&tenant, &connection), &headers, &body).await?;
    let delivery = header(&headers, DELIVERY);
    if !is_delivery_id(delivery) {
        let message = "an id of 1 to 128 printable letters of ASCII";
        return Err(Problem::field(Code::InvalidHeader, DELIVERY, message));
    }
    let kept = store::fetch_connection(&state.pool, &scope, connection).await?;
    if !kept.is_some_and(|kept| concerns(&kept.source, header(&headers, EVENT), &body)) {
        return Ok(answer(StatusCode::OK, Outcome::Ignored));
    }
    match store::take_delivery(&state.pool, &scope, connection, delivery).await? {
        Taken::Started(job) => {
            state.wake.notify_one();
            let received = Received {
                outcome: Outcome::Started,
                job_id: Some(job),
            };
            let location = [(header::LOCATION, location(job))];
            Ok((StatusCode::ACCEPTED, location, axum::Json(received)).into_response())
        }
        Taken::Pending => Ok(answer(StatusCode::ACCEPTED, Outcome::Pending)),
        Taken::Duplicate => Ok(answer(StatusCode::OK, Outcome::Duplicate)),
        Taken::Gone => Err(unsigned()),
    }
}

/// Checks the signature; returns whose webhook it is.
async fn authenticate(
    state: &State,
    (tenant, connection): (&str, &str),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(TenantScope, Uuid), Problem> {
    let tenant = TenantId::parse(tenant.to_owned()).map_err(|_| unsigned())?;
    let connection: Uuid = connection.parse().map_err(|_| unsigned())?;
    let scope = TenantScope::for_worker(tenant);
    let webhook = store::fetch_webhook(&state.pool, &scope, connection).await?;
    let secret = match webhook {
        Some(webhook) => state
            .places
            .secrets
            .read_hmac(scope.tenant(), &webhook.secret_ref)
            .await
            .ok(),
        None => None,
    };
    // Without a secret the same is computed with a key that nobody has. The answer still tells, by the time that a file takes,
    // that there is a webhook; and that only to who knows the connection's id, which is random.
    let key = secret.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let is_signed = is_signed(key.as_bytes(), body, header(headers, SIGNATURE));
    if is_signed && secret.is_some() {
        Ok((scope, connection))
    } else {
        Err(unsigned())
    }
}

fn unsigned() -> Problem {
    Problem::field(
        Code::Unauthenticated,
        SIGNATURE,
        "the delivery is not signed with the webhook's secret",
    )
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn answer(status: StatusCode, outcome: Outcome) -> Response {
    let received = Received { outcome, job_id: None };
    (status, axum::Json(received)).into_response()
}
