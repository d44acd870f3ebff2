//! `POST /api/v1/sync/cancel/{id}`: asks for a job's end.

use axum::extract::{FromRequest as _, Request as HttpRequest, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::{location, no_job};
use crate::access::require_canceller;
use crate::job::Job;
use crate::permissions::about_stored;
use crate::state::State;
use crate::store;

/// Longest reason, in bytes.
const LONGEST: usize = 500;

/// Why a job should end. The body may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CancelRequest)]
pub struct Request {
    /// For whoever looks at the job later, at most 500 bytes.
    pub reason: Option<String>,
}

/// Asks for a job's end. One that waits ends at once, a running one within two seconds, at the boundary of a batch; what was
/// delivered before stays. Asking again changes nothing.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/sync/cancel/{id}", tag = "sync", request_body = Option<Request>,
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 202, description = "It will end", body = Job),
        (status = 200, description = "It is over", body = Job),
        (status = 400, description = "The request names no tenant, or is not JSON"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such job"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn cancel(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    require_canceller(&caller)?;
    let Request { reason } = read(request, &state).await?;
    if reason
        .as_ref()
        .is_some_and(|text| text.len() > LONGEST || text.contains('\0'))
    {
        let message = format!("at most {LONGEST} bytes, and no NUL");
        return Err(Problem::field(Code::InvalidBody, "/reason", message));
    }
    check_policies(&state, &caller, &judge, id).await?;
    let job = store::cancel(&state.pool, &caller.scope, id, reason.as_deref())
        .await?
        .ok_or_else(|| no_job(id))?;
    let status = if job.status.is_terminal() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = location(job.id);
    Ok((status, [(header::LOCATION, location)], axum::Json(job)).into_response())
}

/// Asks the policies about the job, now that its source is known.
async fn check_policies(state: &State, caller: &Caller, judge: &Judge, id: Uuid) -> Result<(), Problem> {
    let job = store::fetch(&state.pool, &caller.scope, id)
        .await?
        .ok_or_else(|| no_job(id))?;
    let found = store::list_connections(&state.pool, &caller.scope, Some(job.connection_id), None, 1).await?;
    let connection = found.into_iter().next().ok_or_else(|| no_job(id))?;
    let about = about_stored(action::SYNC_CANCEL, id, &connection.source, &connection.created_by);
    judge.check(about)
}

/// Reads a body that may be left out.
async fn read(request: HttpRequest, state: &State) -> Result<Request, Problem> {
    if !request.headers().contains_key(header::CONTENT_TYPE) {
        return Ok(Request::default());
    }
    Json::from_request(request, state).await.map(|Json(body)| body)
}
