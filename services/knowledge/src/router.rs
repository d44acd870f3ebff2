//! The index of the API.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use aeterna_kit::service::document;
use aeterna_policy::guard::layer::stand_before;

use crate::permissions::PERMISSIONS;
use crate::routes::{context, knowledge, notes};
use crate::state::State;

#[derive(OpenApi)]
#[openapi(info(
    title = "Aeterna knowledge service",
    description = "Keeps what a team knows, as Markdown at paths."
))]
struct Api;

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(knowledge::create::create, knowledge::root::all))
        .routes(routes!(knowledge::search::search))
        .routes(routes!(knowledge::import::import))
        .routes(routes!(knowledge::root::root))
        .routes(routes!(
            knowledge::get::get,
            knowledge::put::put,
            knowledge::delete::delete
        ))
        .routes(routes!(context::assemble::assemble))
        .routes(routes!(notes::create::create))
        .routes(routes!(notes::review::review))
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
