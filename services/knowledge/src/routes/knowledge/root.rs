//! `GET /api/v1/knowledge/`: the folder of everything.

use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::problem::Problem;

use super::folder::Listing;
use super::get::{Asked, Options};
use crate::access::Rights;
use crate::path::FolderPath;
use crate::state::State;

/// Lists what lies at the root, or returns everything to who accepts application/x-tar.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/knowledge/", tag = "knowledge", params(Options),
    responses(
        (status = 200, description = "What lies there", content((Listing = "application/json"), (Vec<u8> = "application/x-tar"))),
        (status = 400, description = "A parameter or the cursor does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn root(
    caller: Caller,
    Shared(state): Shared<State>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        state: &state,
        caller: &caller,
        rights: &Rights::of(&caller),
        options: &options,
    };
    asked.folder(&FolderPath::root(), &headers).await
}
