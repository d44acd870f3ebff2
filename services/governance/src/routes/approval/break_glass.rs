//! `POST /api/v1/approval/break-glass/{id}`: approves without a quorum, in an emergency.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::is_text;

use super::effect::Effect;
use super::request::hash;
use super::settle::{Case, problem};
use super::view::{View, details};
use crate::admission::Admitted;
use crate::approval::{Command, Refusal};
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::approvals::{self, Name};

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BreakGlassRequest)]
pub struct Request {
    /// What the emergency is, 1 byte to 4 KiB.
    pub justification: String,
}

/// Approves a pending request without waiting for a quorum. Not one's own, and not what takes a higher role than one's own.
/// The log is told twice, the operators are alarmed by `approvals_broken_glass_total`, and the request shows it for ever.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/break-glass/{id}", tag = "approval", request_body = Request,
    params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "Approved", body = View),
        (status = 403, description = "The caller may not: SELF_APPROVAL, NOT_ELIGIBLE or FORBIDDEN"),
        (status = 404, description = "The tenant has no such request"),
        (status = 409, description = "It is not pending"),
        (status = 410, description = "Its time is over"),
        (status = 422, description = "The justification is missing"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn break_glass(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Json(asked): Json<Request>,
) -> Result<Body<View>, Problem> {
    let why = asked.justification;
    if !is_text(&why, 4096) {
        let message = "1 to 4096 bytes without NUL";
        return Err(Problem::field(Code::JustificationRequired, "/justification", message));
    }
    let desk = Admitted::open(&state, &caller, origin, action::APPROVAL_BREAK_GLASS, &id.to_string()).await?;
    let (desk, mut case) = Case::lock(desk, &Name::Id(id)).await?;
    let command = Command::BreakGlass {
        by: desk.principal.human().to_owned(),
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    let payload: Map<String, Value> = serde_json::from_str(&case.stored.payload).unwrap_or_default();
    let least = Effect::read(&case.stored.request_type, &payload)?.least();
    if !desk.principal.roles.iter().any(|own| own.includes(least)) {
        return Err(desk.refuse(problem(Refusal::NotEligible)).await);
    }
    approvals::mark_broken_glass(&mut desk.tx, id, &why)
        .await
        .or_problem()?;
    // The log tells hashes of what was written, and the request keeps the text.
    let told = [("justificationHash", json!(hash(&why)))];
    case.stored.broken_glass = Some(why);
    case.follow(&mut desk, &change, "approval.breakGlass", &told).await?;
    let told = details(&case.stored, &[("brokenGlass", json!(true))]);
    desk.note("approval.approved", ("Approval", &id.to_string()), told)
        .await?;
    desk.close().await?;
    metrics::counter!("approvals_broken_glass_total").increment(1);
    tracing::warn!(tenant = %caller.scope.tenant(), request = case.stored.number, by = caller.subject, "glass was broken");
    Ok(Body(case.view()))
}
