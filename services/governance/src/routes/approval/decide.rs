//! `POST /api/v1/approval/decide`: a vote.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::{is_line, is_text};

use super::settle::Case;
use super::view::{Decision, View, details};
use crate::admission::Admitted;
use crate::approval::{Command, Status, Verdict};
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::approvals::Name;

/// A vote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DecideRequest)]
pub struct Request {
    /// The request, by its id …
    pub request_id: Option<Uuid>,
    /// … or by its number.
    pub request_number: Option<String>,
    /// For it, against it (that ends it), or neither.
    pub decision: Verdict,
    /// Why, at most 4 KiB. Needed for a vote on a request of high or critical risk.
    pub comment: Option<String>,
    /// The hash of the payload that was looked at; a vote on another is refused. Needed for high and critical risk, and when
    /// the request was amended.
    pub payload_hash: Option<String>,
}

/// What a vote did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Voted {
    /// The request now.
    pub request: View,
    /// The vote.
    pub decision: Option<Decision>,
    /// The count.
    pub quorum: Quorum,
}

/// A count over all steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quorum {
    /// Approvals that it takes.
    pub required: u32,
    /// Those that are good now.
    pub approved: usize,
    /// Votes against it.
    pub rejected: usize,
    /// Approvals that are still missing.
    pub remaining: usize,
}

/// Votes on a request.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/decide", tag = "approval", request_body = Request,
    responses(
        (status = 200, description = "The vote counts", body = Voted),
        (status = 403, description = "The caller may not: SELF_APPROVAL, NOT_ELIGIBLE or FORBIDDEN"),
        (status = 404, description = "The tenant has no such request"),
        (status = 409, description = "ALREADY_DECIDED, NOT_PENDING or PAYLOAD_CHANGED"),
        (status = 410, description = "Its time is over"),
        (status = 422, description = "A field does not fit, or a comment or the payload's hash is needed"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn decide(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(asked): Json<Request>,
) -> Result<Body<Voted>, Problem> {
    let name = check(&asked)?;
    let id = match &name {
        Name::Id(id) => id.to_string(),
        Name::Number(number) => number.clone(),
    };
    let desk = Admitted::open(&state, &caller, origin, action::APPROVAL_DECIDE, &id).await?;
    let (desk, mut case) = Case::lock_to_count(desk, &name).await?;
    let command = Command::Decide {
        by: desk.principal.human().to_owned(),
        verdict: asked.decision,
        payload_hash: asked.payload_hash.clone(),
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    if case.stored.risk.needs_justification() && asked.comment.is_none() {
        let detail = "a vote on a request of this risk says why";
        return Err(Problem::field(Code::JustificationRequired, "/comment", detail));
    }
    let is_named = asked.payload_hash.is_some();
    if !is_named && (case.stored.risk.needs_justification() || case.stored.core.payload.number > 1) {
        let detail = "a vote on a request of this risk, or on one that was amended, says which payload was looked at";
        return Err(Problem::field(Code::InvalidBody, "/payloadHash", detail));
    }
    case.add_vote(&mut desk, &change, asked.comment.as_deref()).await?;
    let more = [
        ("decision", json!(asked.decision)),
        ("step", json!(change.vote.as_ref().map(|vote| vote.step))),
    ];
    case.follow(&mut desk, &change, "approval.decide", &more).await?;
    if change.status == Status::Approved {
        let told = details(&case.stored, &[]);
        desk.note("approval.approved", ("Approval", &case.stored.id.to_string()), told)
            .await?;
    }
    desk.close().await?;
    let view = case.view();
    let rejected = view
        .decisions
        .iter()
        .filter(|vote| vote.decision == Verdict::Reject)
        .count();
    let required = usize::try_from(view.required_approvals).unwrap_or(usize::MAX);
    let quorum = Quorum {
        required: view.required_approvals,
        approved: view.current_approvals,
        rejected,
        remaining: required.saturating_sub(view.current_approvals),
    };
    // The newest is the one that was just given.
    let decision = view.decisions.last().cloned();
    Ok(Body(Voted {
        request: view,
        decision,
        quorum,
    }))
}

fn check(asked: &Request) -> Result<Name, Problem> {
    if asked.comment.as_ref().is_some_and(|comment| !is_text(comment, 4096)) {
        return Err(Problem::field(
            Code::InvalidBody,
            "/comment",
            "1 to 4096 bytes without NUL",
        ));
    }
    match (asked.request_id, &asked.request_number) {
        (Some(id), None) => Ok(Name::Id(id)),
        (None, Some(number)) if is_line(number, 32) => Ok(Name::Number(number.clone())),
        _ => Err(Problem::field(
            Code::InvalidBody,
            "/requestId",
            "requestId or requestNumber, and not both",
        )),
    }
}
