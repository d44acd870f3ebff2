//! Models behind an endpoint that speaks OpenAI's embeddings API.

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Error, Vector};

/// Tries of one request: a refusal that says "later" is tried again.
const TRIES: u32 = 3;

/// The longest that one try may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where a remote model is.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenAiSettings {
    /// The API's base, such as `https://api.openai.com/v1`.
    pub endpoint: String,
    /// The model's name there.
    pub model: String,
    /// How many dimensions its vectors have.
    pub dimension: usize,
    /// The key; none where none is needed.
    #[serde(skip)]
    pub api_key: Option<String>,
}

/// A remote model.
pub struct OpenAi {
    settings: OpenAiSettings,
    client: reqwest::Client,
}

impl std::fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAi")
            .field("model", &self.settings.model)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vector,
}

impl OpenAi {
    /// Makes a client of the model; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when no client can be made.
    pub fn new(settings: OpenAiSettings) -> Result<Self, Error> {
        // The process has one TLS provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .build()
            .map_err(|source| Error::Unreachable {
                model: settings.model.clone(),
                source,
            })?;
        Ok(Self { settings, client })
    }

    /// Returns the number of dimensions.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.settings.dimension
    }

    /// Embeds texts.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`], [`Error::Shape`].
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Vector>, Error> {
        let mut pause = Duration::from_millis(100);
        for _ in 1..TRIES {
            match self.ask(texts).await {
                Err(Error::Refused { status, .. }) if status == 429 || status >= 500 => {}
                Err(Error::Unreachable { .. }) => {}
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
        self.ask(texts).await
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vector>, Error> {
        let OpenAiSettings {
            endpoint,
            model,
            api_key,
            ..
        } = &self.settings;
        let unreachable = |source| Error::Unreachable {
            model: model.clone(),
            source,
        };
        let url = format!("{}/embeddings", endpoint.trim_end_matches('/'));
        let mut request = self.client.post(url).json(&Request {
            model,
            input: texts,
            encoding_format: "float",
        });
        if let Some(key) = api_key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status != StatusCode::OK {
            let text = response.text().await.unwrap_or_default().chars().take(200).collect();
            return Err(Error::Refused {
                model: model.clone(),
                status: status.as_u16(),
                text,
            });
        }
        self.check(response.json().await.map_err(unreachable)?, texts.len())
    }

    fn check(&self, reply: Reply, count: usize) -> Result<Vec<Vector>, Error> {
        let OpenAiSettings { model, dimension, .. } = &self.settings;
        let mut items = reply.data;
        items.sort_by_key(|item| item.index);
        let wrong = items.iter().find(|item| item.embedding.len() != *dimension);
        if items.len() != count || wrong.is_some() {
            let found = wrong.map_or(*dimension, |item| item.embedding.len());
            return Err(Error::Shape {
                model: model.clone(),
                found: format!("{} vectors of {found} dimensions", items.len()),
                expected: format!("{count} of {dimension}"),
            });
        }
        Ok(items.into_iter().map(|item| item.embedding).collect())
    }
}
