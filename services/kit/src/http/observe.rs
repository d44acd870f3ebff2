//! Metrics of requests, under the names that the dashboards use.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;

/// Buckets of durations, in seconds: those of OpenTelemetry's HTTP conventions, and 0.2, which a target names.
const BUCKETS: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Installs the recorder of the process; every series carries `service`.
///
/// # Errors
/// When the process has a recorder already.
pub fn install(service: &'static str) -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .add_global_label("service", service)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    // A counter that appears with its first event cannot be alerted on.
    metrics::counter!("cache_hits_total").absolute(0);
    metrics::counter!("cache_misses_total").absolute(0);
    Ok(handle)
}

/// Counts and times a request as `METHOD /template`; a path that nobody serves is `unmatched`, whatever it says.
pub async fn layer(request: Request, next: Next) -> Response {
    let endpoint = match request.extensions().get::<MatchedPath>() {
        Some(path) => format!("{} {}", known(request.method()), path.as_str()),
        None => "unmatched".to_owned(),
    };
    let in_flight = InFlight::enter();
    let started = Instant::now();
    let response = next.run(request).await;
    drop(in_flight);
    let status = response.status().as_u16().to_string();
    metrics::counter!("http_requests_total", "endpoint" => endpoint.clone(), "status" => status).increment(1);
    metrics::histogram!("http_request_duration_seconds", "endpoint" => endpoint).record(started.elapsed());
    response
}

/// The method, if it is one that anybody serves: a label must not grow with what clients invent.
fn known(method: &Method) -> &str {
    let served = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if served.contains(method) {
        method.as_str()
    } else {
        "OTHER"
    }
}

/// Counts down also when the client goes away.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        metrics::gauge!("http_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("http_requests_in_flight").decrement(1.0);
    }
}
