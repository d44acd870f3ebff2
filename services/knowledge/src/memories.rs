//! The caller's memories, asked of the memory service with the caller's own credentials.
//!
//! This service has none of its own there: what the caller may not read, it does not get. A memory service that is away or
//! slow costs the memories and nothing else.

use std::time::Duration;

use axum::http::HeaderMap;
use serde::Deserialize;

use aeterna_kit::auth::TenantScope;

use crate::context::either;

/// The headers that say who asks; the tenant is said by its scope.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "x-subject",
    "x-roles",
    "x-on-behalf-of",
    "x-request-id",
];

/// Memories asked for.
const LIMIT: u32 = 30;

/// What it is worth that a memory has all the words of the question.
const WORDS: f64 = 0.5;

/// Why there are no memories.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said where the memory service is.
    #[error("MEMORY_SERVICE_URL is not set")]
    Unknown,
    /// It did not answer, or not in time.
    #[error("the memory service does not answer")]
    Unreachable(#[from] reqwest::Error),
}

/// A memory, as far as a context needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Its id.
    pub id: String,
    /// What it says.
    pub content: String,
    /// Its layer.
    pub layer: String,
    /// Its version.
    pub version: i64,
}

/// A memory found.
#[derive(Debug, Clone, Deserialize)]
pub struct Hit {
    /// The memory.
    pub memory: Memory,
    /// How it was found.
    pub explain: Explanation,
}

/// How a memory was found.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// The cosine similarity, if the search by meaning found it.
    pub vector: Option<f64>,
    /// Its place in the search by words, if that found it.
    pub keyword_rank: Option<u32>,
}

impl Hit {
    /// Returns how much it has to do with the question, 0 to 1, whatever else was found: the likeness of its meaning; that it
    /// has all the words of the question counts as well.
    #[must_use]
    pub fn relevance(&self) -> f64 {
        let meaning = self.explain.vector.unwrap_or_default().clamp(0.0, 1.0);
        let words = if self.explain.keyword_rank.is_some() {
            WORDS
        } else {
            0.0
        };
        either(meaning, words)
    }
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<Hit>,
}

/// A client of the memory service.
#[derive(Debug, Clone)]
pub struct Memories {
    url: Option<String>,
    client: reqwest::Client,
}

impl Memories {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(base: Option<&str>) -> reqwest::Result<Self> {
        // The process has one TLS provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            url: base.map(|base| format!("{}/api/v1/memories/search", base.trim_end_matches('/'))),
            // A redirect would carry the caller's token elsewhere.
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
        })
    }

    /// Searches the caller's memories; the memory service takes queries of twice the length that this one takes.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn search(
        &self,
        scope: &TenantScope,
        headers: &HeaderMap,
        query: &str,
        patience: Duration,
    ) -> Result<Vec<Hit>, Error> {
        let url = self.url.as_ref().ok_or(Error::Unknown)?;
        let body = serde_json::json!({"query": query, "limit": LIMIT, "explain": true});
        let mut request = self
            .client
            .post(url)
            .timeout(patience)
            .header("X-Tenant-ID", scope.tenant().as_str())
            .json(&body);
        for name in CREDENTIALS {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let reply: Reply = request.send().await?.error_for_status()?.json().await?;
        Ok(reply.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relevance_does_not_depend_on_what_else_was_found() {
        let of = |explain: &str| {
            let text = r#"{"id": "1", "content": "x", "layer": "user", "version": 1}"#;
            let hit = format!(r#"{{"memory": {text}, "score": 0.03, "explain": {explain}}}"#);
            serde_json::from_str::<Hit>(&hit).expect("a hit").relevance()
        };
        assert!((of(r#"{"vector": 0.2, "vectorRank": 1}"#) - 0.2).abs() < 1e-9);
        assert!((of(r#"{"vector": -0.2, "vectorRank": 1}"#)).abs() < 1e-9);
        assert!((of(r#"{"keywordRank": 1}"#) - WORDS).abs() < 1e-9);
        assert!(of(r#"{"vector": 0.4, "keywordRank": 1}"#) > WORDS);
    }
}
