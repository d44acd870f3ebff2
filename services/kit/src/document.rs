//! A service's OpenAPI document, and what is the same in all of them.
//!
//! A handler's annotation says what is particular to it. What the extractors and the HTTP stack answer for every handler is
//! added here, and so is the form of every problem: nobody writes it fifty times, and no endpoint forgets it.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Body;

/// What any request may be answered with.
const ALWAYS: [(&str, &str); 6] = [
    (
        "400",
        "The request names no tenant, or a header or parameter does not fit",
    ),
    ("401", "A valid token is needed"),
    ("403", "The token or the policies do not allow this"),
    ("429", "More requests than the tenant may make; see Retry-After"),
    (
        "503",
        "A store is away or the service has too much to do; see Retry-After",
    ),
    ("504", "The request took too long"),
];

/// What one with a body may be answered with besides.
const WITH_A_BODY: [(&str, &str); 3] = [
    ("413", "The body is larger than 1 MiB"),
    ("415", "The body is not of a type that this endpoint takes"),
    ("422", "A field does not fit"),
];

/// Splits documented routes into what serves them and their document, which is served beside them.
pub fn document<S: Clone + Send + Sync + 'static>(routes: OpenApiRouter<S>) -> (axum::Router<S>, OpenApi) {
    let (router, mut document) = routes.split_for_parts();
    // A path that goes on over slashes is `{*path}` to the router; OpenAPI knows `{path}` only.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    complete(&mut document);
    let served = document.clone();
    let router = router.route(
        "/api/v1/openapi.json",
        axum::routing::get(move || {
            let document = served.clone();
            async move { axum::Json(document) }
        }),
    );
    (router, document)
}

/// Adds what is the same everywhere.
fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let mut schemas = vec![(Body::name().to_string(), Body::schema())];
    Body::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let more: &[(&str, &str)] = if operation.request_body.is_some() {
                &WITH_A_BODY
            } else {
                &[]
            };
            for (status, description) in ALWAYS.iter().chain(more) {
                let response = || RefOr::T(ResponseBuilder::new().description(*description).build());
                operation
                    .responses
                    .responses
                    .entry((*status).to_owned())
                    .or_insert_with(response);
            }
            tell_problems(operation);
            name(operation);
        }
    }
}

/// The id of an operation is its own: generated clients name their methods by it, and `list` alone is many.
fn name(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

/// Every error has the form of a problem.
fn tell_problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            tell_problem(response);
        }
    }
}

fn tell_problem(response: &mut Response) {
    let content = Content::new(Some(Ref::from_schema_name(Body::name())));
    response
        .content
        .insert("application/problem+json".to_owned(), RefOr::T(content));
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
