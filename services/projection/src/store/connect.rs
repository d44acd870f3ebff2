//! Connections to vector stores, one client an endpoint.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qdrant_client::{Qdrant, QdrantError};

use aeterna_tenancy::cleanups::REQUEST_DEADLINE;

use super::{Error, Result};

/// The oldest Qdrant whose upsert takes an `update_filter` together with an `update_mode`.
pub const OLDEST_QDRANT: (u32, u32) = (1, 17);

/// The clients of all endpoints that the shards name.
pub struct Stores {
    api_key: Option<String>,
    clients: Mutex<HashMap<String, Store>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    /// Returns an empty set; `api_key` is sent to each endpoint.
    #[must_use]
    pub fn new(api_key: Option<String>) -> Self {
        Self {
            api_key,
            clients: Mutex::new(HashMap::new()),
        }
    }

    /// Returns the client of an endpoint; connects at the first request.
    ///
    /// # Errors
    /// [`Error::Url`] when the endpoint is not a URL.
    pub fn at(&self, endpoint: &str) -> Result<Store> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = clients.get(endpoint) {
            return Ok(store.clone());
        }
        let store = Store::connect(endpoint, self.api_key.as_deref())?;
        clients.insert(endpoint.to_owned(), store.clone());
        Ok(store)
    }
}

/// A vector store. Cloning it shares the connections.
#[derive(Clone)]
pub struct Store {
    pub(super) client: Qdrant,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    fn connect(endpoint: &str, api_key: Option<&str>) -> Result<Self> {
        Qdrant::from_url(endpoint)
            .api_key(api_key)
            .timeout(REQUEST_DEADLINE)
            .connect_timeout(Duration::from_secs(2))
            .keep_alive_while_idle()
            .skip_compatibility_check()
            .build()
            .map(|client| Self { client })
            .map_err(|error| Error::Url {
                url: endpoint.to_owned(),
                reason: error.to_string(),
            })
    }

    /// Asks for the version, as (major, minor).
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not answer; [`Error::Refused`] when the answer is not a version.
    pub async fn fetch_version(&self) -> Result<(u32, u32)> {
        const OPERATION: &str = "tell its version";
        let reply = self
            .bounded(OPERATION, "", REQUEST_DEADLINE, self.client.health_check())
            .await?;
        let mut numbers = reply.version.split('.').map_while(|part| part.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => Err(Error::Refused {
                operation: OPERATION,
                reason: format!("it answered {:?}", reply.version),
            }),
        }
    }

    /// Runs a request within `deadline`, or [`REQUEST_DEADLINE`] if that is shorter.
    pub(super) async fn bounded<T>(
        &self,
        operation: &'static str,
        collection: &str,
        deadline: Duration,
        request: impl Future<Output = std::result::Result<T, QdrantError>> + Send,
    ) -> Result<T> {
        let started = tokio::time::Instant::now();
        let outcome = tokio::time::timeout(deadline.min(REQUEST_DEADLINE), request).await;
        metrics::histogram!("qdrant_operation_duration_seconds", "op" => operation).record(started.elapsed());
        match outcome {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(Error::of(operation, collection, &error)),
            Err(_) => Err(Error::Unavailable {
                operation,
                reason: format!("no answer within {deadline:?}"),
            }),
        }
    }
}
