//! The index of the API.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use aeterna_kit::service::document;
use aeterna_policy::guard::layer::stand_before;

use crate::permissions::PERMISSIONS;
use crate::routes::{connections, schedules, sync, webhooks};
use crate::state::State;

#[derive(OpenApi)]
#[openapi(info(
    title = "Aeterna sync service",
    description = "Brings what other systems hold into knowledge and memories, and keeps it there as it is."
))]
struct Api;

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(sync::start::start))
        .routes(routes!(sync::status::status))
        .routes(routes!(sync::cancel::cancel))
        .routes(routes!(sync::jobs::jobs))
        .routes(routes!(sync::rejects::rejects))
        .routes(routes!(sync::retry::retry))
        .routes(routes!(connections::list::list))
        .routes(routes!(connections::get::get, connections::delete::delete))
        .routes(routes!(schedules::list::list))
        .routes(routes!(
            schedules::get::get,
            schedules::put::put,
            schedules::delete::delete
        ))
        .routes(routes!(
            webhooks::get::get,
            webhooks::put::put,
            webhooks::delete::delete
        ))
        .routes(routes!(webhooks::receive::receive))
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
