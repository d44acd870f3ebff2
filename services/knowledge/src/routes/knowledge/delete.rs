//! `DELETE /api/v1/knowledge/{path}`: deletes an item.

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};

use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::Problem;

use super::tag::demanded;
use crate::by::By;
use crate::path::ItemPath;
use crate::routes::refusal::path_problem;
use crate::state::State;
use crate::store;

/// Deletes an item. Its history stays, and its path can be written again.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    delete, path = "/api/v1/knowledge/{*path}", tag = "knowledge",
    params(
        ("path" = String, Path, description = "The item's path; slashes are part of it"),
        ("If-Match" = String, Header, description = "The entity tag of the version to delete, or *"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this"),
        (status = 404, description = "The tenant has no such item, or it was deleted before"),
        (status = 409, description = "An accepted adr or spec is not deleted"),
        (status = 412, description = "The item is at another version"),
        (status = 422, description = "The path does not fit"),
        (status = 428, description = "Say with If-Match which version is meant"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn delete(
    by: By,
    Shared(state): Shared<State>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let path = ItemPath::parse(&path).map_err(|error| path_problem("path", &error))?;
    let demanded = demanded(&headers)?;
    store::delete(&state.pool, &by, &path, demanded).await?;
    Ok(StatusCode::NO_CONTENT)
}
