//! `POST /api/v1/approval/cancel/{id}`: takes a request back, or ends one of somebody else.

use axum::Json;
use axum::extract::State as Shared;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::settle::Case;
use super::view::View;
use crate::admission::Admitted;
use crate::approval::Command;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::approvals::Name;

/// Ends a pending request: who asked for it withdraws it; anybody else cancels it, and must be an Admin.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/cancel/{id}", tag = "approval",
    params(("id" = Uuid, Path, description = "The request's id")),
    responses(
        (status = 200, description = "Withdrawn or cancelled", body = View),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such request"),
        (status = 409, description = "It is not pending"),
        (status = 410, description = "Its time is over"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn cancel(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<Json<View>, Problem> {
    let desk = Admitted::open(&state, &caller, origin, action::APPROVAL_WITHDRAW, &id.to_string()).await?;
    let (mut desk, mut case) = Case::lock(desk, &Name::Id(id)).await?;
    let by = desk.principal.human().to_owned();
    let own = by == case.stored.core.requester;
    let (command, action) = if own {
        (Command::Withdraw { by }, "approval.withdraw")
    } else {
        desk = desk.require(action::APPROVAL_CANCEL, &id.to_string()).await?;
        (Command::Cancel, "approval.cancel")
    };
    let (mut desk, change) = case.react(desk, &command).await?;
    case.follow(&mut desk, &change, action, &[]).await?;
    desk.close().await?;
    Ok(Json(case.view()))
}
