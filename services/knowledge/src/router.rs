//! The index of the API.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

use aeterna_kit::service::document;

#[derive(OpenApi)]
#[openapi(info(title = "Aeterna knowledge service"))]
struct Api;

/// Builds the routes.
pub fn router() -> Router {
    document(OpenApiRouter::with_openapi(Api::openapi())).0
}

/// Returns the OpenAPI document.
#[must_use]
pub fn openapi() -> Document {
    document::<()>(OpenApiRouter::with_openapi(Api::openapi())).1
}
