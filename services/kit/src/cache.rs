//! Redis as a cache: slower without it, never wrong.
//!
//! Every error is a miss, counted and passed over. After an error the cache rests for a moment, so that a Redis that hangs
//! does not add its timeout to every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{AsyncCommands as _, IntoConnectionInfo as _};
use tokio::time::Instant;

/// The longest that a look may take; a database read takes less.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long an unreachable cache is left alone.
const REST: Duration = Duration::from_millis(500);

/// A cache; without a URL every look is a miss.
#[derive(Clone)]
pub struct Cache {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    connection: ConnectionManager,
    began: Instant,
    // Milliseconds since `began` until which the cache rests.
    resting_until: AtomicU64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.inner.is_some() {
            "Cache(redis)"
        } else {
            "Cache(none)"
        })
    }
}

/// The URL is not one of a Redis.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL is not a Redis URL (redis://host:6379)")]
pub struct UrlError(#[source] redis::RedisError);

impl Cache {
    /// Makes a cache; connects at first use, and again after every failure.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn connect_lazy(url: Option<&str>) -> Result<Self, UrlError> {
        let Some(url) = url else {
            return Ok(Self { inner: None });
        };
        // Requests share a connection: a small one must not wait until the one before it is acknowledged.
        let at_once = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info().map_err(UrlError)?.set_tcp_settings(at_once);
        let client = redis::Client::open(info).map_err(UrlError)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(Duration::from_millis(500)))
            .set_response_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(UrlError)?;
        let inner = Inner {
            connection,
            began: Instant::now(),
            resting_until: AtomicU64::new(0),
        };
        Ok(Self {
            inner: Some(Arc::new(inner)),
        })
    }

    /// Returns a value; a miss when it is not there or the cache does not answer.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let inner = self.awake()?;
        let mut connection = inner.connection.clone();
        inner.bounded(connection.get::<_, Option<Vec<u8>>>(key)).await.flatten()
    }

    /// Keeps a value for a time, if the cache answers.
    pub async fn put(&self, key: &str, value: Vec<u8>, life: Duration) {
        let Some(inner) = self.awake() else { return };
        let mut connection = inner.connection.clone();
        inner
            .bounded(connection.set_ex::<_, _, ()>(key, value, life.as_secs().max(1)))
            .await;
    }

    /// Asks the cache for a sign of life; also fine where there is none.
    ///
    /// # Errors
    /// What it answers instead.
    pub async fn ping(&self) -> Result<(), String> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let mut connection = inner.connection.clone();
        let asked = tokio::time::timeout(Duration::from_millis(500), connection.ping::<()>()).await;
        asked
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())
    }

    fn awake(&self) -> Option<&Inner> {
        self.inner
            .as_deref()
            .filter(|inner| inner.now() >= inner.resting_until.load(Ordering::Relaxed))
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn bounded<T>(&self, look: impl Future<Output = redis::RedisResult<T>>) -> Option<T> {
        let error = match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        metrics::counter!("cache_errors_total").increment(1);
        tracing::debug!(error, "the cache is passed over");
        self.resting_until.store(
            self.now() + u64::try_from(REST.as_millis()).unwrap_or(0),
            Ordering::Relaxed,
        );
        None
    }
}
