//! The memory service over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// A client of one tenant.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    tenant: String,
}

/// How often a request whose outcome is not known is repeated; with the pauses between, for some 20 s.
const TRIES: u32 = 40;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(url: &str, tenant: &str) -> Result<Self> {
        // The process has one TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(256)
            .build()?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            tenant: tenant.to_owned(),
        })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Result<Response> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("X-Tenant-ID", &self.tenant);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    /// Sends a request until its outcome is known: one that may or may not have been done is done again.
    async fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, u32)> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            match self.send(method.clone(), path, body).await {
                Ok(response)
                    if response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS =>
                {
                    last = response.status().to_string();
                }
                Ok(response) => {
                    let status = response.status();
                    // Read to its end, so that the connection can be used again.
                    response.bytes().await?;
                    return Ok((status, attempt));
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("{method} {path} has no outcome after {TRIES} tries: {last}")
    }

    /// Stores a memory under an id of our own; returns how often the request had to be repeated.
    ///
    /// # Errors
    /// When it is refused, or its outcome cannot be learned.
    pub async fn create(&self, id: Uuid, content: &str) -> Result<u32> {
        let body = json!({"id": id, "content": content, "layer": "team"});
        let (status, repeats) = self.insist(Method::POST, "/api/v1/memories", Some(&body)).await?;
        match status {
            StatusCode::CREATED | StatusCode::OK => Ok(repeats),
            other => bail!("a memory was refused: {other}"),
        }
    }

    /// Deletes a memory; one that is gone already is deleted.
    ///
    /// # Errors
    /// When it is refused, or its outcome cannot be learned.
    pub async fn delete(&self, id: Uuid) -> Result<u32> {
        let (status, repeats) = self
            .insist(Method::DELETE, &format!("/api/v1/memories/{id}"), None)
            .await?;
        match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(repeats),
            other => bail!("a deletion was refused: {other}"),
        }
    }

    /// Tells whether the service has a memory.
    ///
    /// # Errors
    /// When the outcome cannot be learned.
    pub async fn exists(&self, id: Uuid) -> Result<bool> {
        let (status, _) = self
            .insist(Method::GET, &format!("/api/v1/memories/{id}"), None)
            .await?;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            other => bail!("a read was refused: {other}"),
        }
    }

    /// Tells whether the vector search finds a memory by its own words, to which it is nearest.
    ///
    /// # Errors
    /// When the service does not answer 200.
    pub async fn finds(&self, id: Uuid, content: &str) -> Result<bool> {
        let body = json!({"query": content, "limit": 5, "mode": "semantic"});
        let (answer, _) = self.ask(&body).await?;
        let items = answer.pointer("/items").and_then(Value::as_array);
        let id = json!(id);
        Ok(items
            .into_iter()
            .flatten()
            .any(|item| item.pointer("/memory/id") == Some(&id)))
    }

    /// Searches, once; returns the answer and how long it took.
    ///
    /// # Errors
    /// When the service does not answer 200.
    pub async fn search(&self, query: &str, limit: u32) -> Result<(Value, Duration)> {
        self.ask(&json!({"query": query, "limit": limit})).await
    }

    async fn ask(&self, body: &Value) -> Result<(Value, Duration)> {
        let started = Instant::now();
        let response = self.send(Method::POST, "/api/v1/memories/search", Some(body)).await?;
        let status = response.status();
        let answer: Value = response.json().await.context("the answer is no JSON")?;
        if status != StatusCode::OK {
            bail!("a search was refused: {status} {answer}");
        }
        Ok((answer, started.elapsed()))
    }
}
