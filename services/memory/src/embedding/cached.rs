//! Embeddings that were made before: in memory, then in Redis, then made.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use aeterna_kit::auth::TenantScope;
use aeterna_kit::cache::Cache;

use super::{Error, Model, Vector};

/// Texts kept in memory: some 20 MB at 256 dimensions.
const IN_MEMORY: u64 = 16_384;

/// How long Redis keeps one.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A model and what it has embedded lately.
#[derive(Debug)]
pub struct Cached {
    name: String,
    model: Model,
    memory: moka::future::Cache<[u8; 32], Vector>,
    redis: Cache,
}

impl Cached {
    /// Puts a cache before a model.
    #[must_use]
    pub fn new(name: String, model: Model, redis: Cache) -> Self {
        Self {
            name,
            model,
            memory: moka::future::Cache::new(IN_MEMORY),
            redis,
        }
    }

    /// Returns the model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of dimensions.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.model.dimension()
    }

    /// Embeds a text of a tenant.
    ///
    /// # Errors
    /// Those of the model.
    pub async fn embed(&self, scope: &TenantScope, text: &str) -> Result<Vector, Error> {
        let digest = digest(scope, text);
        if let Some(known) = self.memory.get(&digest).await {
            metrics::counter!("cache_hits_total", "cache" => "memory").increment(1);
            return Ok(known);
        }
        // The local model is quicker than any Redis.
        let shared = matches!(self.model, Model::OpenAi(_)).then(|| self.key(scope, &digest));
        if let Some(key) = &shared
            && let Some(vector) = self.redis.get(key).await.and_then(|bytes| self.decode(&bytes))
        {
            metrics::counter!("cache_hits_total", "cache" => "redis").increment(1);
            self.memory.insert(digest, vector.clone()).await;
            return Ok(vector);
        }
        metrics::counter!("cache_misses_total", "cache" => "embedding").increment(1);
        let made = self.model.embed(std::slice::from_ref(&text.to_owned())).await?;
        let vector = made.into_iter().next().ok_or(Error::Empty)?;
        if let Some(key) = &shared {
            let bytes = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.redis.put(key, bytes, LIFE).await;
        }
        self.memory.insert(digest, vector.clone()).await;
        Ok(vector)
    }

    fn key(&self, scope: &TenantScope, digest: &[u8; 32]) -> String {
        format!(
            "{}:embedding:{}:{}",
            scope.tenant(),
            self.name,
            aeterna_kit::hex::hex(digest)
        )
    }

    fn decode(&self, bytes: &[u8]) -> Option<Vector> {
        let (floats, rest) = bytes.as_chunks::<4>();
        let vector: Vector = floats.iter().map(|four| f32::from_le_bytes(*four)).collect();
        (rest.is_empty() && vector.len() == self.dimension()).then_some(vector)
    }
}

/// The tenant is part of it: how long an answer takes tells nobody what another tenant has written.
fn digest(scope: &TenantScope, text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(scope.tenant().as_str());
    hash.update([0]);
    hash.update(text);
    hash.finalize().into()
}
