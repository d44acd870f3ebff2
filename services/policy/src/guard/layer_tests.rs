use std::time::Duration;

use aeterna_kit::auth::{Limit, Mode};
use axum::http::StatusCode;
use axum::routing::{get, post};
use ed25519_dalek::SigningKey;
use tower::ServiceExt as _;

use super::super::client::Client;
use super::super::route::{About, Access};
use super::super::tenants::Tenants;
use super::*;
use crate::rbac::action;
use crate::signed::{PublicKey, PublicKeys};

fn route(method: &'static str, path: &'static str, access: Access, body: Body) -> Route {
    Route {
        method,
        path,
        access,
        body,
        about: |asked| About::one(action::MEMORY_READ, asked.param("id")),
    }
}

/// A router behind a guard whose governance service is not there.
fn guarded() -> Router {
    let router = Router::new()
        .route(
            "/listed/{id}",
            get(|| async { "read" }).put(|body: String| async move { body }),
        )
        .route("/spoken/{*path}", get(|| async { "read" }))
        .route("/unlisted", post(|| async { "written" }))
        .route("/signed", post(|| async { "checked" }).put(|| async { "written" }))
        .route(DOCUMENT, get(|| async { "{}" }));
    let client = Client::new("http://127.0.0.1:1").expect("a URL");
    let key = PublicKeys::of([PublicKey::of(SigningKey::from_bytes(&[1; 32]).verifying_key())]);
    let guard = Guard(std::sync::Arc::new(Tenants::new(client, key, Duration::from_secs(1))));
    let authenticator = Authenticator::new(Mode::Disabled { default_tenant: None }, Limit::default());
    let routes: &'static [Route] = Box::leak(Box::new([
        route("GET", "/listed/{id}", Access::Read, Body::Unread),
        route("PUT", "/listed/{id}", Access::Read, Body::Read),
        route("DELETE", "/listed/{id}", Access::Write, Body::Unread),
        route("GET", "/spoken/{path}", Access::Read, Body::Unread),
    ]));
    let routes = Routes {
        guarded: routes,
        signed: &[("POST", "/signed")],
    };
    stand_before(router, Some(guard), &authenticator, routes)
}

async fn ask(method: &str, path: &str, body: &'static str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("X-Tenant-ID", "acme");
    let request = request.body(HttpBody::from(body)).expect("a request");
    let answer = guarded().oneshot(request).await.expect("an answer");
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), 1024).await.expect("a body");
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_route_that_nobody_listed_is_refused() {
    assert_eq!(ask("POST", "/unlisted", "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask("POST", "/listed/1", "").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_signed_route_is_asked_for_no_token_and_another_method_there_is_refused() {
    assert_eq!(ask("POST", "/signed", "").await, (StatusCode::OK, "checked".to_owned()));
    assert_eq!(ask("PUT", "/signed", "").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_policies_what_reads_passes_and_what_writes_does_not() {
    assert_eq!(ask("GET", "/listed/1", "").await.0, StatusCode::OK);
    assert_eq!(ask("GET", "/spoken/a/b", "").await.0, StatusCode::OK);
    assert_eq!(ask("DELETE", "/listed/1", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_body_that_was_looked_at_comes_to_the_handler_whole() {
    assert_eq!(
        ask("PUT", "/listed/1", "the whole body").await,
        (StatusCode::OK, "the whole body".to_owned())
    );
}

#[tokio::test]
async fn the_document_and_what_nobody_serves_ask_for_no_tenant() {
    let bare = |path: &str| Request::builder().uri(path).body(HttpBody::empty()).expect("a request");
    let status = async |path: &str| guarded().oneshot(bare(path)).await.expect("an answer").status();
    assert_eq!(status(DOCUMENT).await, StatusCode::OK);
    assert_eq!(status("/nowhere").await, StatusCode::NOT_FOUND);
    assert_eq!(status("/listed/1").await, StatusCode::BAD_REQUEST);
}
