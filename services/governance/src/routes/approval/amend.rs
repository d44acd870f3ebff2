//! `PUT /api/v1/approval/{id}`: another payload; all votes are void.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};

use super::effect::Effect;
use super::request::{check_floor, check_payload, hash};
use super::settle::Case;
use super::view::{View, details};
use crate::admission::Admitted;
use crate::approval::{Command, rules};
use crate::canonical;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::approvals::{self, Name};

/// The new payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AmendRequest)]
pub struct Request {
    /// What will be done instead, at most 64 KiB.
    #[schema(value_type = Object)]
    pub payload: Map<String, Value>,
}

/// Replaces the payload of a pending request. Only who asked for it may. The votes that it has no longer count, not even when
/// the old payload comes back, and each further vote names the hash of the payload that was looked at.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    put, path = "/api/v1/approval/{id}", tag = "approval", request_body = Request,
    params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "The request with its new payload", body = View),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "The tenant has no such request"),
        (status = 409, description = "It is not pending"),
        (status = 410, description = "Its time is over"),
        (status = 422, description = "The payload does not fit, or takes higher approvers or a higher risk than the request has"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn amend(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Json(asked): Json<Request>,
) -> Result<Body<View>, Problem> {
    check_payload(&asked.payload)?;
    let desk = Admitted::open(&state, &caller, origin, action::APPROVAL_REQUEST, &id.to_string()).await?;
    let (desk, mut case) = Case::lock(desk, &Name::Id(id)).await?;
    let payload = canonical::write(&Value::Object(asked.payload.clone()));
    let command = Command::Amend {
        by: desk.principal.human().to_owned(),
        payload_hash: hash(&payload),
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    let effect = Effect::read(&case.stored.request_type, &asked.payload)?;
    check_floor(effect.floor(&case.stored.request_type), case.stored.risk, "/payload")?;
    rules::check_least(&case.stored.core.steps, effect.least())
        .map_err(|message| Problem::field(Code::InvalidBody, "/payload", message))?;
    approvals::follow(&mut desk.tx, id, &change, Some(&payload))
        .await
        .or_problem()?;
    let before = case.stored.core.payload.hash.clone();
    if let Some(revision) = change.payload {
        case.stored.core.payload = revision;
    }
    case.stored.payload = payload;
    let told = details(&case.stored, &[("before", json!(before))]);
    desk.note("approval.amend", ("Approval", &id.to_string()), told).await?;
    desk.close().await?;
    Ok(Body(case.view()))
}
