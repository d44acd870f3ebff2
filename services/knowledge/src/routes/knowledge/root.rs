//! `GET /api/v1/knowledge/`, with or without the slash: the folder of everything.

use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;

use aeterna_kit::http::extract::Query;
use aeterna_kit::problem::Problem;

use super::folder::Listing;
use super::get::{Asked, Options};
use crate::by::By;
use crate::path::FolderPath;
use crate::state::State;

/// Lists what lies at the root, or returns everything to who accepts application/x-tar.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/knowledge/", tag = "knowledge", params(Options),
    responses(
        (status = 200, description = "What lies there", content((Listing = "application/json"), (String = "application/x-tar"))),
        (status = 400, description = "A parameter or the cursor does not fit"),
        (status = 503, description = "The database is away, or too many exports are being read; see Retry-After"),
    )
)]
pub async fn root(
    by: By,
    Shared(state): Shared<State>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        state: &state,
        by: &by,
        options: &options,
    };
    asked.folder(&FolderPath::root(), &headers).await
}

/// Does the same as with a slash at its end.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/knowledge", tag = "knowledge", params(Options),
    responses(
        (status = 200, description = "What lies there", content((Listing = "application/json"), (String = "application/x-tar"))),
        (status = 400, description = "A parameter or the cursor does not fit"),
        (status = 503, description = "The database is away, or too many exports are being read; see Retry-After"),
    )
)]
pub async fn all(
    by: By,
    shared: Shared<State>,
    options: Query<Options>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    root(by, shared, options, headers).await
}
