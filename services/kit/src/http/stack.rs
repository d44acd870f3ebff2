//! Puts the layers around a service's routes, and serves them until the process is asked to end.

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use axum::{BoxError, Router, middleware};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;

use super::health::{self, Readiness, Scrape};
use super::{observe, problems};
use crate::problem::{Code, Problem};

/// What the stack needs to know.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The checks of `/ready`.
    pub readiness: Readiness,
    /// What `/metrics` reads.
    pub scrape: Scrape,
    /// Whether browsers of any origin may call: only where there is no authentication to steal.
    pub open_to_browsers: bool,
}

/// Bodies of requests: 1 MiB, unless a route says otherwise.
const BODY: usize = 1 << 20;

/// The longest a request may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// Requests worked on at once; more are told to come back before everybody becomes slow.
const AT_ONCE: usize = 1024;

impl Stack {
    /// Puts the stack around a service's routes.
    pub fn wrap(&self, routes: Router) -> Router {
        self.wrap_within(routes, DEADLINE)
    }

    fn wrap_within(&self, routes: Router, deadline: Duration) -> Router {
        let limits = ServiceBuilder::new()
            .layer(HandleErrorLayer::new(refuse))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(AT_ONCE))
            .layer(TimeoutLayer::new(deadline));
        let mut served = routes
            .fallback(problems::not_found)
            .method_not_allowed_fallback(problems::method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY))
            .layer(limits);
        if self.open_to_browsers {
            served = served.layer(CorsLayer::permissive());
        }
        let probes = Router::new()
            .route("/health", get(health::health))
            .route("/ready", get(health::ready).with_state(self.readiness.clone()))
            .route("/metrics", get(health::metrics).with_state(self.scrape.clone()));
        served
            .merge(probes)
            .layer(CatchPanicLayer::custom(survive))
            .layer(middleware::from_fn(observe::layer))
            .layer(middleware::from_fn(problems::layer))
    }
}

/// A request that met the load limit or its deadline.
async fn refuse(error: BoxError) -> Problem {
    if error.is::<tower::load_shed::error::Overloaded>() {
        Problem::new(
            Code::Overloaded,
            "this instance works on as many requests as it can; try again soon",
        )
    } else if error.is::<tower::timeout::error::Elapsed>() {
        Problem::new(Code::Timeout, "the request took longer than 15 s")
    } else {
        Problem {
            cause: Some(error.to_string()),
            ..Problem::new(Code::Internal, "the request could not be served")
        }
    }
}

/// A handler that panicked.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over so")]
fn survive(panic: Box<dyn Any + Send>) -> Response {
    let cause = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Problem {
        cause,
        ..Problem::new(Code::Internal, "the request could not be served")
    }
    .into_response()
}

/// Between "not ready" and the end of accepting: the time that a Service's endpoints take to change.
const NOTICE: Duration = Duration::from_secs(2);

/// Serves until `shutdown`, then answers "not ready", and ends when all requests are done.
///
/// # Errors
/// When the port cannot be listened on.
pub async fn serve(
    router: Router,
    port: u16,
    readiness: Readiness,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    // An answer is sent as it is, and does not wait until the one before it is acknowledged.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays what is small");
        }
    });
    let leaving = async move {
        shutdown.await;
        tracing::info!("draining");
        readiness.drain();
        tokio::time::sleep(NOTICE).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(leaving).await
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn asked_to_end() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be waited for");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
