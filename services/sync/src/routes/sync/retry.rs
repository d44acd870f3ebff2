//! `POST /api/v1/sync/retry/{id}`: tries one rejected item again.

use axum::extract::State as Shared;
use axum::response::Response;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::start::answer;
use crate::access::{require_starter, roles_of};
use crate::job::{Job, Mode, Options};
use crate::routes::connections::admit;
use crate::state::State;
use crate::store::{self, NewJob, Over};

/// Starts a job that looks at one rejected item and at nothing else, with the limits of the job that met it last.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/sync/retry/{id}", tag = "sync", params(("id" = Uuid, Path, description = "The reject's id")),
    responses(
        (status = 202, description = "Started; Location says where to look", body = Job),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such reject"),
        (status = 409, description = "The connection has an active job"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn retry(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    require_starter(&caller)?;
    let reject = store::fetch_reject(&state.pool, &caller.scope, id)
        .await?
        .ok_or_else(|| Problem::new(Code::RejectNotFound, format!("the tenant has no reject {id}")))?;
    admit(&state, &caller, &judge, (reject.connection_id, action::SYNC_START)).await?;
    let options = Options {
        limits: store::fetch_limits(&state.pool, &caller.scope, &reject).await?,
        only: Some(reject.external_id),
        ..Options::default()
    };
    let new = NewJob {
        over: Over::Connection(reject.connection_id),
        mode: Mode::Full,
        options: &options,
        key: None,
        created_by: &caller.subject,
        roles: &roles_of(&caller),
    };
    let recorded = store::record_job(&state.pool, &caller.scope, new).await?;
    answer(&state, recorded)
}
