use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;

/// Asks a route behind the stack; returns the status, whether it says when to come back, and the problem.
async fn ask(routes: Router, deadline: Duration) -> (StatusCode, bool, Value) {
    let recorder = PrometheusBuilder::new().build_recorder().handle();
    let stack = Stack {
        readiness: Readiness::default(),
        scrape: Scrape { recorder, pool: None },
        open_to_browsers: false,
    };
    let request = Request::get("/it").body(Body::empty()).expect("a request");
    let answer = stack.wrap_within(routes, deadline).oneshot(request).await;
    let answer = answer.expect("an answer");
    let (status, later) = (answer.status(), answer.headers().contains_key(header::RETRY_AFTER));
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    assert_eq!(
        kind.as_ref().map(header::HeaderValue::as_bytes),
        Some(&b"application/problem+json"[..])
    );
    let body = to_bytes(answer.into_body(), BODY).await.expect("a body");
    (status, later, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_to_come_back() {
    let routes = Router::new().route("/it", get(std::future::pending::<()>));
    let (status, later, problem) = ask(routes, Duration::from_millis(20)).await;
    assert_eq!((status, later), (StatusCode::GATEWAY_TIMEOUT, true));
    assert_eq!(problem["code"], "TIMEOUT");
}

async fn fall_over() -> &'static str {
    panic!("the password is hunter2")
}

#[tokio::test]
async fn a_handler_that_falls_over_is_a_problem_that_tells_nothing_of_why() {
    let (status, later, problem) = ask(Router::new().route("/it", get(fall_over)), DEADLINE).await;
    assert_eq!((status, later), (StatusCode::INTERNAL_SERVER_ERROR, false));
    assert_eq!(problem["code"], "INTERNAL");
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
}
