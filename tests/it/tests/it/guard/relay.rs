//! What stands between a service and the governance service: passes questions on, keeps silent, or lies.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;

/// What it does with a question.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Passes it on, and the answer back.
    Honest,
    /// Answers 503.
    Away,
    /// Takes questions and never answers.
    Silent,
    /// Changes one text of the answer into another.
    Forges(&'static str, &'static str),
    /// Asks for another tenant.
    Swaps(&'static str),
}

/// The relay.
#[derive(Clone)]
pub struct Relay {
    pub url: String,
    to: String,
    http: reqwest::Client,
    state: Arc<Mutex<(Mode, HeaderMap, Option<String>)>>,
    asked: Arc<AtomicUsize>,
}

impl Relay {
    /// Starts one before a governance service.
    pub async fn start(governance: &str) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let relay = Self {
            url: format!("http://{}", listener.local_addr()?),
            to: format!("{governance}/api/v1/policies/snapshot"),
            http: reqwest::Client::new(),
            state: Arc::new(Mutex::new((Mode::Honest, HeaderMap::new(), None))),
            asked: Arc::default(),
        };
        let router = Router::new()
            .route("/api/v1/policies/snapshot", get(pass))
            .with_state(relay.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(relay)
    }

    /// Changes what it does.
    pub fn set(&self, mode: Mode) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = mode;
    }

    /// Returns how many questions there were.
    pub fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Returns what the last question says behind its path.
    pub fn query(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).2.clone()
    }

    /// Returns a header of the last question.
    pub fn last(&self, header: &str) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some(state.1.get(header)?.to_str().ok()?.to_owned())
    }
}

async fn pass(State(relay): State<Relay>, RawQuery(query): RawQuery, mut headers: HeaderMap) -> Response {
    relay.asked.fetch_add(1, Ordering::SeqCst);
    let mode = {
        let mut state = relay.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = headers.clone();
        state.2.clone_from(&query);
        state.0.clone()
    };
    headers.remove("host");
    match &mode {
        Mode::Away => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Silent => std::future::pending().await,
        Mode::Swaps(tenant) => {
            headers.insert("x-tenant-id", tenant.parse().expect("a header"));
        }
        Mode::Honest | Mode::Forges(..) => {}
    }
    let to = query.map_or_else(|| relay.to.clone(), |query| format!("{}?{query}", relay.to));
    let Ok(answer) = relay.http.get(to).headers(headers).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let status = answer.status();
    let mut body: Value = answer.json().await.unwrap_or_default();
    if let Mode::Forges(from, to) = mode {
        let text = body["text"].as_str().unwrap_or_default().replace(from, to);
        body["text"] = text.into();
    }
    (status, axum::Json(body)).into_response()
}
