//! `GET /api/v1/memories/{id}`: one memory.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use crate::memory::Memory;
use crate::permissions::about;
use crate::state::State;
use crate::store;

/// Returns a memory.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/memories/{id}", tag = "memories", params(("id" = Uuid, Path, description = "The memory's id")),
    responses(
        (status = 200, description = "The memory", body = Memory),
        (status = 403, description = "The tenant's policies do not allow this"),
        (status = 404, description = "The tenant has no such memory"),
        (status = 410, description = "It was deleted, or its time is over"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let stored = store::fetch(&state.pool, &caller.scope, id)
        .await
        .map_err(|error| Problem::database(&error))?;
    if let Some(stored) = &stored {
        judge.check(about(action::MEMORY_READ, &stored.memory))?;
    }
    match stored {
        None => Err(Problem::new(
            Code::MemoryNotFound,
            format!("the tenant has no memory {id}"),
        )),
        Some(stored) if stored.gone => Err(Problem::new(Code::MemoryDeleted, format!("memory {id} was deleted"))),
        Some(stored) => Ok(([(header::ETAG, stored.memory.etag())], Json(stored.memory)).into_response()),
    }
}
