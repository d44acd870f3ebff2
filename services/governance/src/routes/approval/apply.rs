//! `POST /api/v1/approval/apply/{id}`: does what was approved, once.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::Problem;

use super::effect::Effect;
use super::settle::{Case, problem};
use super::view::{View, details};
use crate::admission::Admitted;
use crate::approval::{Command, Refusal, Status};
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::approvals::{Name, outbox};

/// Which payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ApplyRequest)]
pub struct Request {
    /// The hash of the payload that is applied: the one that was approved, or nothing happens.
    pub payload_hash: String,
}

/// A request that was applied.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppliedApproval)]
pub struct Applied {
    /// The request.
    #[serde(flatten)]
    pub request: View,
    /// It was applied before, and this answer repeats the one of then. Whoever asks for the first time sees false.
    pub already_applied: bool,
}

/// Applies an approved request: who asked for it does, his agent, or an Admin. Of type policy, the policy becomes active; of
/// type role, the role is granted, in the same transaction. Of other types the caller does it, with the payload and the
/// `applicationId` of the answer. If that answer is lost the same caller asks again and gets both again, with
/// `alreadyApplied`: he may have done it, and the id as the idempotency key of what he does tells. Nobody else gets them.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/apply/{id}", tag = "approval", request_body = Request,
    params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "Applied, by this caller and no other", body = Applied),
        (status = 403, description = "The caller may not, or it is somebody else's request"),
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
) -> Result<Body<Applied>, Problem> {
    let desk = Admitted::open(&state, &caller, origin, action::APPROVAL_APPLY, &id.to_string()).await?;
    let (mut desk, mut case) = Case::lock(desk, &Name::Id(id)).await?;
    if desk.principal.human() != case.stored.core.requester {
        desk = desk.require(action::APPROVAL_APPLY_ANY, &id.to_string()).await?;
    }
    let payload: Map<String, Value> = serde_json::from_str(&case.stored.payload).unwrap_or_default();
    let effect = Effect::read(&case.stored.request_type, &payload)?;
    let is_repeated = case.stored.core.status == Status::Applied
        && effect == Effect::Elsewhere
        && case.stored.application.as_ref().map(|(_, by)| by) == Some(&desk.principal.id)
        && case.stored.core.payload.hash == asked.payload_hash;
    if is_repeated {
        let told = details(&case.stored, &[]);
        desk.note("approval.applyAgain", ("Approval", &id.to_string()), told)
            .await?;
        desk.close().await?;
        return Ok(Body(Applied {
            request: case.view(),
            already_applied: true,
        }));
    }
    let command = Command::Apply {
        payload_hash: asked.payload_hash,
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    let by = desk.principal.id.clone();
    let taken = outbox::take(&mut desk.tx, id, &by).await.or_problem()?;
    let application = taken.ok_or_else(|| problem(Refusal::AlreadyApplied))?;
    case.stored.application = Some((application, by));
    effect.apply(&mut desk, &case.stored).await?;
    let told = [("applicationId", json!(application))];
    case.follow(&mut desk, &change, "approval.apply", &told).await?;
    desk.close().await?;
    Ok(Body(Applied {
        request: case.view(),
        already_applied: false,
    }))
}
