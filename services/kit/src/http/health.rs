//! `/health`, `/ready` and `/metrics`.
//!
//! Health never touches a dependency: a database that is away must not restart every pod. Readiness really asks, at most
//! once a second. An optional dependency that is away is named in the verbose answer and takes no pod out of its Service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer of the checks is good for.
const FRESH: Duration = Duration::from_secs(1);

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(1);

type Checking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Whether a service can do without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it there is no service.
    Required,
    /// Without it the service is slower or less.
    Optional,
}

struct Check {
    name: &'static str,
    need: Need,
    ask: Box<dyn Fn() -> Checking + Send + Sync>,
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    name: &'static str,
    required: bool,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What the checks found, and when.
type Answer = (Instant, Vec<Finding>);

/// The checks of a service, and whether it is on its way out.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<Check>>,
    last: Arc<Mutex<Option<Answer>>>,
    draining: Arc<AtomicBool>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.checks.iter().map(|check| check.name))
            .finish()
    }
}

impl Readiness {
    /// Adds a check.
    #[must_use]
    pub fn with<F>(self, name: &'static str, need: Need, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut checks = Arc::into_inner(self.checks).unwrap_or_default();
        checks.push(Check {
            name,
            need,
            ask: Box::new(move || Box::pin(ask())),
        });
        Self {
            checks: Arc::new(checks),
            ..self
        }
    }

    /// Answers 503 from now on, so that no new requests are sent here.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    async fn findings(&self) -> Vec<Finding> {
        let mut last = self.last.lock().await;
        if let Some((at, findings)) = &*last
            && at.elapsed() < FRESH
        {
            return findings.clone();
        }
        let mut findings = Vec::with_capacity(self.checks.len());
        for check in self.checks.iter() {
            let answer = tokio::time::timeout(PATIENCE, (check.ask)()).await;
            let error = answer
                .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
                .err();
            findings.push(Finding {
                name: check.name,
                required: check.need == Need::Required,
                ok: error.is_none(),
                error,
            });
        }
        *last = Some((Instant::now(), findings.clone()));
        findings
    }
}

/// `GET /health`: the process serves.
pub async fn health() -> &'static str {
    "OK"
}

/// `GET /ready`: the process can do its work; `?verbose` tells what was asked.
pub async fn ready(State(readiness): State<Readiness>, uri: Uri) -> Response {
    let findings = readiness.findings().await;
    let draining = readiness.draining.load(Ordering::SeqCst);
    let missing: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.required && !finding.ok)
        .collect();
    let status = if missing.is_empty() && !draining {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if uri
        .query()
        .is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")))
    {
        let body = serde_json::json!({ "ready": status == StatusCode::OK, "draining": draining, "checks": findings });
        return (status, Json(body)).into_response();
    }
    let text = match (draining, missing.is_empty()) {
        (true, _) => "DRAINING".to_owned(),
        (false, true) => "READY".to_owned(),
        (false, false) => {
            let names: Vec<&str> = missing.iter().map(|finding| finding.name).collect();
            format!("NOT READY: {}", names.join(", "))
        }
    };
    (status, text).into_response()
}

/// What `/metrics` reads besides the recorder.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The recorder.
    pub recorder: PrometheusHandle,
    /// The pool, for its connections.
    pub pool: Option<PgPool>,
}

/// `GET /metrics`, in the text format of Prometheus.
pub async fn metrics(State(scrape): State<Scrape>) -> String {
    if let Some(pool) = &scrape.pool {
        let (size, idle) = (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(u32::MAX));
        metrics::gauge!("database_connections_active").set(f64::from(size.saturating_sub(idle)));
        metrics::gauge!("database_connections_idle").set(f64::from(idle));
    }
    scrape.recorder.run_upkeep();
    scrape.recorder.render()
}
