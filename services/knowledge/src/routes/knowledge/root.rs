//! `GET /api/v1/knowledge/`: the folder of everything.

use axum::Json;
use axum::extract::State as Shared;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::problem::Problem;

use super::folder::{self, Listing};
use super::get::{Asked, Options};
use crate::access::Rights;
use crate::path::FolderPath;
use crate::state::State;

/// Lists what lies at the root.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/knowledge/", tag = "knowledge", params(Options),
    responses(
        (status = 200, description = "What lies there", body = Listing),
        (status = 400, description = "A parameter or the cursor does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn root(
    caller: Caller,
    Shared(state): Shared<State>,
    Query(options): Query<Options>,
) -> Result<Json<Listing>, Problem> {
    let asked = Asked {
        state: &state,
        caller: &caller,
        rights: &Rights::of(&caller),
        options: &options,
    };
    folder::list(&asked, &FolderPath::root()).await.map(Json)
}
