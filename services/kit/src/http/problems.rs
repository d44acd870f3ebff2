//! Request ids, and the bodies of problems.

use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// The header that carries a request's id, in and out.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a caller.
const LONGEST_ID: usize = 128;

/// Gives the request an id, logs what failed, and writes the bodies of problems.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    // Printable ASCII, as checked or made above.
    let header = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("invalid"));
    request.headers_mut().insert(REQUEST_ID.clone(), header.clone());
    let path = request
        .extensions()
        .get::<OriginalUri>()
        .map_or_else(|| request.uri().path(), |uri| uri.path())
        .to_owned();
    let span = tracing::info_span!("request", method = %request.method(), path, request_id = id);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        span.in_scope(|| log(&problem));
        response = problem.render(&id, &path);
    }
    response.headers_mut().insert(REQUEST_ID.clone(), header);
    response
}

fn log(problem: &Problem) {
    let (code, status, _) = problem.code.parts();
    let cause = problem.cause.as_deref().unwrap_or_default();
    if status.is_server_error() {
        tracing::warn!(code, detail = problem.detail, cause, "a request failed");
    } else {
        tracing::debug!(code, detail = problem.detail, cause, "a request was refused");
    }
}

/// The answer to a path that nobody serves.
pub async fn not_found() -> Problem {
    Problem::new(
        Code::NotFound,
        "this service has no such path; /api/v1/openapi.json lists them",
    )
}

/// The answer to a method that a path does not take.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "this path takes other methods; /api/v1/openapi.json lists them",
    )
}
