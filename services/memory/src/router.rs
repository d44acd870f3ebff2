//! The index of the API.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use aeterna_kit::service::document;
use aeterna_policy::guard::layer::stand_before;

use crate::permissions::PERMISSIONS;
use crate::routes::{embeddings, memories};
use crate::state::State;

#[derive(OpenApi)]
#[openapi(info(
    title = "Aeterna memory service",
    description = "Stores what agents learn, and finds it again."
))]
struct Api;

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(memories::create::create))
        .routes(routes!(memories::get::get, memories::delete::delete))
        .routes(routes!(memories::search::search))
        .routes(routes!(embeddings::generate::generate))
}

/// Builds the routes.
pub fn router(state: State) -> Router {
    let (guard, authenticator) = (state.guard.clone(), state.authenticator.clone());
    let served = document(api()).0.with_state(state);
    stand_before(served, guard, &authenticator, PERMISSIONS)
}

/// Returns the OpenAPI document.
#[must_use]
pub fn openapi() -> Document {
    document(api()).1
}
