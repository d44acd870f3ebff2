//! `DELETE /api/v1/memories/{id}`: deletes a memory.

use axum::extract::State as Shared;
use axum::http::StatusCode;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;
use aeterna_projection::truth::{Kind, Outcome, WriteItem};

use super::change;
use crate::permissions::about;
use crate::state::State;
use crate::store;

/// Deletes a memory: its text at once, and for good.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    delete, path = "/api/v1/memories/{id}", tag = "memories",
    params(("id" = Uuid, Path, description = "The memory's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "The tenant's policies do not allow this"),
        (status = 404, description = "The tenant has no such memory, or it was deleted before"),
        (status = 503, description = "The database is away or the tenant is at its cutover; see Retry-After"),
    )
)]
pub async fn delete(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let absent = || Problem::new(Code::MemoryNotFound, format!("the tenant has no memory {id}"));
    // Deleting must not register a tenant; and what policies ask about, only the row knows.
    if judge.is_selective() || state.routes.get(caller.scope.tenant()).is_none() {
        let stored = store::fetch(&state.pool, &caller.scope, id)
            .await
            .map_err(|error| Problem::database(&error))?;
        judge.check(about(action::MEMORY_DELETE, &stored.ok_or_else(absent)?.memory))?;
    }
    let change::Done { written, item, .. } =
        change::write(&state, &caller.scope, WriteItem::bare(Kind::Delete, id)).await?;
    if written.outcome != Outcome::Deleted {
        return Err(absent());
    }
    change::apply(&state, &caller.scope, item, &written).await;
    Ok(StatusCode::NO_CONTENT)
}
