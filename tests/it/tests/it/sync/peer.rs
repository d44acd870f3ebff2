//! A peer that speaks the part of the knowledge service's API that a sync uses, and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};
use tokio::sync::watch;

/// An item that the peer holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub body: Value,
    pub author: String,
    pub roles: String,
    pub version: u64,
    /// Who wrote the newest version.
    pub writer: String,
}

type Items = BTreeMap<(String, String), Item>;

/// What the peer answers instead of doing what it is asked.
#[derive(Debug, Clone)]
pub struct Fault {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: Value,
}

/// The peer.
#[derive(Clone)]
pub struct Knowledge {
    url: String,
    items: Arc<Mutex<Items>>,
    faults: Arc<Mutex<Vec<Fault>>>,
    open: Arc<watch::Sender<bool>>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Knowledge {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let peer = Self {
            url: format!("http://{}", listener.local_addr()?),
            items: Arc::default(),
            faults: Arc::default(),
            open: Arc::new(watch::Sender::new(true)),
            waiting: Arc::new(watch::Sender::new(0)),
        };
        let router = Router::new()
            .route("/api/v1/knowledge", post(create))
            .route("/api/v1/knowledge/{*path}", any(item))
            .with_state(peer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(peer)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns an item.
    pub fn item(&self, tenant: &str, path: &str) -> Option<Item> {
        self.items().get(&(tenant.to_owned(), path.to_owned())).cloned()
    }

    /// Returns the paths of a tenant, in order.
    pub fn paths(&self, tenant: &str) -> Vec<String> {
        let items = self.items();
        items
            .keys()
            .filter(|(of, _)| of == tenant)
            .map(|(_, path)| path.clone())
            .collect()
    }

    /// Puts an item there that somebody else wrote.
    pub fn plant(&self, tenant: &str, path: &str, text: &str) {
        let item = Item {
            body: json!({"content": text}),
            author: "ann".to_owned(),
            roles: String::new(),
            version: 1,
            writer: "ann".to_owned(),
        };
        self.items().insert((tenant.to_owned(), path.to_owned()), item);
    }

    /// Changes an item as somebody else; its author stays who made it.
    pub fn edit(&self, tenant: &str, path: &str, text: &str) -> Result<()> {
        let mut items = self.items();
        let item = items.get_mut(&(tenant.to_owned(), path.to_owned()));
        let item = item.with_context(|| format!("there is no {path}"))?;
        item.body["content"] = json!(text);
        item.version += 1;
        "ann".clone_into(&mut item.writer);
        Ok(())
    }

    /// Answers the next writes so, first come first served.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut waiting = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(faults);
    }

    /// Answers nothing until it is opened again.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until somebody waits for an answer.
    pub async fn is_asked(&self) -> Result<()> {
        self.waiting.subscribe().wait_for(|count| *count > 0).await?;
        Ok(())
    }

    fn items(&self) -> std::sync::MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self) -> Option<Response> {
        self.waiting.send_modify(|count| *count += 1);
        let opened = self.open.subscribe().wait_for(|open| *open).await.is_ok();
        self.waiting.send_modify(|count| *count -= 1);
        if !opened {
            return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.is_empty() {
            return None;
        }
        let Fault {
            status,
            retry_after,
            body,
        } = faults.remove(0);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(body)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        Some(response)
    }
}

fn said(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn create(State(peer): State<Knowledge>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(fault) = peer.pass().await {
        return fault;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = body["path"].as_str().unwrap_or_default().to_owned();
    let item = Item {
        body,
        author: said(&headers, "x-subject"),
        roles: said(&headers, "x-roles"),
        version: 1,
        writer: said(&headers, "x-subject"),
    };
    let mut items = peer.items();
    let key = (said(&headers, "x-tenant-id"), path);
    if items.contains_key(&key) {
        return (StatusCode::CONFLICT, axum::Json(json!({"code": "KNOWLEDGE_CONFLICT"}))).into_response();
    }
    items.insert(key, item);
    (StatusCode::CREATED, [(header::ETAG, "\"1\"")]).into_response()
}

async fn item(
    State(peer): State<Knowledge>,
    method: Method,
    uri: Uri,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method != Method::GET
        && let Some(fault) = peer.pass().await
    {
        return fault;
    }
    let mut items = peer.items();
    let key = (said(&headers, "x-tenant-id"), path);
    let Some(there) = items.get_mut(&key) else {
        return (
            StatusCode::NOT_FOUND,
            axum::Json(json!({"code": "KNOWLEDGE_NOT_FOUND"})),
        )
            .into_response();
    };
    let tag = format!("\"{}\"", there.version);
    if method == Method::GET && uri.query().is_some_and(|query| query.contains("view=history")) {
        let newest = json!({"version": there.version, "author": there.writer});
        return axum::Json(json!({"path": key.1, "versions": [newest]})).into_response();
    }
    if method == Method::GET {
        let shown = json!({"author": there.author, "content": there.body["content"]});
        return ([(header::ETAG, tag)], axum::Json(shown)).into_response();
    }
    if said(&headers, "if-match") != tag {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    if method == Method::DELETE {
        items.remove(&key);
        return StatusCode::NO_CONTENT.into_response();
    }
    there.body = serde_json::from_slice(&body).unwrap_or_default();
    there.version += 1;
    there.writer = said(&headers, "x-subject");
    let tag = format!("\"{}\"", there.version);
    (StatusCode::OK, [(header::ETAG, tag)]).into_response()
}
