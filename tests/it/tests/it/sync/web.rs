//! A server of the web as a test wants it, which remembers what it was asked.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

/// What the server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
}

impl Asked {
    /// Returns a header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}

type Answering = Arc<dyn Fn(&Asked) -> Response + Send + Sync>;

/// The server.
#[derive(Clone)]
pub struct Web {
    url: String,
    answering: Arc<Mutex<Answering>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Starts it with what it answers.
    pub async fn start(answering: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let web = Self {
            url: format!("http://{}", listener.local_addr()?),
            answering: Arc::new(Mutex::new(Arc::new(answering))),
            asked: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(web.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(web)
    }

    /// Answers so from now on.
    pub fn answer(&self, answering: impl Fn(&Asked) -> Response + Send + Sync + 'static) {
        *self.answering.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(answering);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Returns what it was asked since the last time, and forgets it.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(State(web): State<Web>, uri: Uri, headers: HeaderMap, _: Bytes) -> Response {
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let asked = Asked { path, headers };
    web.asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    let answering = Arc::clone(&web.answering.lock().unwrap_or_else(PoisonError::into_inner));
    answering(&asked)
}

/// Makes an answer.
pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap_or_default()
}

/// Writes records as lines.
pub fn lines(records: &[(&str, &str)]) -> String {
    let line = |(id, text): &(&str, &str)| format!("{}\n", serde_json::json!({"id": id, "content": text}));
    records.iter().map(line).collect()
}
