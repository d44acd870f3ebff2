//! The index of the API.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use aeterna_kit::service::document;

use crate::routes::{approval, audit, policies, roles};
use crate::state::State;

#[derive(OpenApi)]
#[openapi(info(
    title = "Aeterna governance service",
    description = "Who may do what, who has agreed to it, and what has happened."
))]
struct Api;

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(policies::create::create, policies::list::list))
        .routes(routes!(policies::get::get, policies::update::update))
        .routes(routes!(policies::rollback::rollback))
        .routes(routes!(policies::diff::diff))
        .routes(routes!(policies::evaluate::evaluate))
        .routes(routes!(policies::validate::validate))
        .routes(routes!(policies::simulate::simulate))
        .routes(routes!(policies::snapshot::snapshot))
        .routes(routes!(approval::request::request))
        .routes(routes!(approval::decide::decide))
        .routes(routes!(approval::list::list))
        .routes(routes!(approval::get::get, approval::amend::amend))
        .routes(routes!(approval::cancel::cancel))
        .routes(routes!(approval::break_glass::break_glass))
        .routes(routes!(approval::apply::apply))
        .routes(routes!(roles::list::list))
        .routes(routes!(roles::grant::grant))
        .routes(routes!(roles::revoke::revoke))
        .routes(routes!(audit::list::list))
        .routes(routes!(audit::verify::verify))
}

/// Builds the routes.
pub fn router(state: State) -> Router {
    document(api()).0.with_state(state)
}

/// Returns the OpenAPI document.
#[must_use]
pub fn openapi() -> Document {
    document(api()).1
}
