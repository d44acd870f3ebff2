//! `POST /api/v1/policies`: makes a policy.

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use super::view::{View, check, check_room, show_changed};
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::policy::{Document, Status};
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies;

/// Makes a policy. A TechLead makes drafts; one that is active at once takes an Architect.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies", tag = "policies", request_body = Document,
    responses(
        (status = 201, description = "Made, version 1", body = View),
        (status = 200, description = "A dry run: it would be made", body = View),
        (status = 403, description = "The caller may not"),
        (status = 409, description = "The name is taken in this layer and scope"),
        (status = 422, description = "A field, a rule or the text does not fit; errors have line and column"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn create(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(document): Json<Document>,
) -> Result<Response, Problem> {
    let wanted = match document.status {
        Status::Active => action::POLICY_ACTIVATE,
        Status::Draft | Status::Archived => action::POLICY_CREATE,
    };
    let id = Uuid::now_v7();
    let mut desk = Admitted::open(&state, &caller, origin, wanted, &id.to_string()).await?;
    check(&document).await?;
    let stored = policies::create(&mut desk.tx, id, &document, &caller.subject)
        .await
        .or_problem()?;
    let stored = stored.ok_or_else(|| {
        let detail = format!("{:?} is taken in this layer and scope", document.name);
        Problem::field(Code::PolicyExists, "/name", detail)
    })?;
    check_room(&mut desk.tx, &stored).await?;
    let view = show_changed(&mut desk.tx, stored).await?;
    if document.dry_run {
        // The transaction is dropped, and with it all that it did.
        return Ok(view.respond(StatusCode::OK));
    }
    desk.note("policy.create", ("Policy", &id.to_string()), view.details())
        .await?;
    desk.close().await?;
    Ok(view.respond(StatusCode::CREATED))
}
