//! `POST /api/v1/approval/apply/{id}`: does what was approved, once.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::Problem;

use super::effect::Effect;
use super::settle::{Case, problem};
use super::view::View;
use crate::admission::Admitted;
use crate::approval::{Command, Refusal};
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::approvals::{self, Name};

/// Which payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ApplyRequest)]
pub struct Request {
    /// The hash of the payload that is applied: the one that was approved, or nothing happens.
    pub payload_hash: String,
}

/// Applies an approved request. Of type policy, the policy becomes active; of type role, the role is granted, in the same
/// transaction. Of other types the caller does it, with the payload of the answer: this answer is given once.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/apply/{id}", tag = "approval", request_body = Request,
    params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "Applied, by this call and no other", body = View),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such request, or its policy is gone"),
        (status = 409, description = "NOT_APPROVED, ALREADY_APPLIED or PAYLOAD_CHANGED"),
        (status = 412, description = "The policy has changed since; the request stays approved"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn apply(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Json(asked): Json<Request>,
) -> Result<Body<View>, Problem> {
    let mut desk = Admitted::open(&state, &caller, origin, action::APPROVAL_APPLY, &id.to_string()).await?;
    let mut case = Case::lock(&mut desk, &Name::Id(id)).await?;
    let command = Command::Apply {
        payload_hash: asked.payload_hash,
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    if !approvals::take_from_outbox(&mut desk.tx, id).await.or_problem()? {
        return Err(problem(Refusal::AlreadyApplied));
    }
    let payload: Map<String, Value> = serde_json::from_str(&case.stored.payload).unwrap_or_default();
    let effect = Effect::read(&case.stored.request_type, &payload)?;
    effect.apply(&mut desk, &case.stored).await?;
    case.follow(&mut desk, &change, "approval.apply", &[]).await?;
    desk.close().await?;
    Ok(Body(case.view()))
}
