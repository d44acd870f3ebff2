//! The clusters whose database is known, for the controller of tenants; and what the last look at each has found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::PgPool;
use tokio::sync::Notify;

use aeterna_crds::v1alpha1::AeternaClusterSpec;
use aeterna_kit::db;
use aeterna_plan::report::Because;
use aeterna_projection::store::Stores;
use aeterna_tenancy::Term;

/// A cluster that is ready for tenants.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The AeternaCluster's uid: one that is made anew is another.
    pub uid: Option<String>,
    /// Its database.
    pub pool: PgPool,
    /// Its vector stores.
    pub stores: Arc<Stores>,
    /// A digest of the key that they are asked with.
    pub key_digest: u64,
    /// The term of this leader there.
    pub term: Term,
    /// What it asks for.
    pub spec: AeternaClusterSpec,
}

/// What the last pass over a cluster has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The AeternaCluster's uid.
    pub uid: Option<String>,
    /// Whether the database serves.
    pub database: Result<(), Because>,
    /// Whether the vector store serves.
    pub vector_store: Result<(), Because>,
}

/// Connections to databases, and the clusters that are ready, by namespace.
#[derive(Debug, Default)]
pub struct Registry {
    pools: Mutex<HashMap<String, (String, PgPool)>>,
    handles: Mutex<HashMap<String, Handle>>,
    looks: Mutex<HashMap<String, Look>>,
    turned: Arc<Notify>,
    deposed: Notify,
}

/// Connections to one database: one for each controller.
const CONNECTIONS: u32 = 2;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Returns the pool for a namespace's database; a changed URL makes a new one.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn pool(&self, namespace: &str, url: &str) -> Result<PgPool, db::Error> {
        let mut pools = lock(&self.pools);
        if let Some((known, pool)) = pools.get(namespace)
            && known == url
        {
            return Ok(pool.clone());
        }
        let limits = db::Limits {
            connections: CONNECTIONS,
            ..db::Limits::default()
        };
        let pool = db::connect_lazy(url, "aeterna-operator", limits)?;
        pools.insert(namespace.to_owned(), (url.to_owned(), pool.clone()));
        lock(&self.handles).remove(namespace);
        Ok(pool)
    }

    /// Returns the cluster of a namespace, if it is ready for tenants.
    #[must_use]
    pub fn get(&self, namespace: &str) -> Option<Handle> {
        lock(&self.handles).get(namespace).cloned()
    }

    /// Declares a cluster ready for tenants.
    pub fn put(&self, namespace: &str, handle: Handle) {
        lock(&self.handles).insert(namespace.to_owned(), handle);
    }

    /// Returns what the last pass over a namespace's cluster has found; none before the first one of this process.
    #[must_use]
    pub fn last_look(&self, namespace: &str) -> Option<Look> {
        lock(&self.looks).get(namespace).cloned()
    }

    /// Keeps what a pass has found. Its tenants are looked at when that is another story than before.
    pub fn keep_look(&self, namespace: &str, look: Look) {
        let reasons = |look: &Look| {
            [&look.database, &look.vector_store].map(|stage| stage.as_ref().err().map(|because| because.reason))
        };
        let before = self.last_look(namespace);
        let turned = before.is_none_or(|before| before.uid != look.uid || reasons(&before) != reasons(&look));
        lock(&self.looks).insert(namespace.to_owned(), look);
        if turned {
            self.turned.notify_one();
        }
    }

    /// Returns what is told whenever a cluster's stores have gone or come back.
    #[must_use]
    pub fn turned(&self) -> Arc<Notify> {
        Arc::clone(&self.turned)
    }

    /// Forgets what is known of a namespace's cluster, unless it has this uid.
    pub fn forget_other(&self, namespace: &str, uid: Option<&str>) {
        let other = |known: Option<Option<String>>| known.is_some_and(|known| known.as_deref() != uid);
        let handle = self.get(namespace).map(|known| known.uid);
        let look = self.last_look(namespace).map(|known| known.uid);
        if other(handle) || other(look) {
            self.forget(namespace);
        }
    }

    /// Forgets a namespace: its cluster is gone.
    pub fn forget(&self, namespace: &str) {
        lock(&self.handles).remove(namespace);
        lock(&self.pools).remove(namespace);
        lock(&self.looks).remove(namespace);
    }

    /// Hears of an error of a namespace's database. When the term that is in use there is over, somebody else leads.
    pub fn hear(&self, namespace: &str, error: &aeterna_tenancy::Error) {
        // A pass that began with an earlier handle has a term that is over by our own doing.
        if let aeterna_tenancy::Error::TermOver { mine, .. } = error
            && self.get(namespace).is_some_and(|handle| handle.term.0 == *mine)
        {
            tracing::error!(namespace, %error, "another operator leads");
            self.deposed.notify_one();
        }
    }

    /// Waits until it is known that somebody else leads.
    pub async fn deposed(&self) {
        self.deposed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aeterna_tenancy::Error;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn only_the_end_of_the_term_in_use_ends_a_leadership() {
        let registry = Registry::default();
        let pool = registry.pool("ns", "postgres://localhost/x").expect("a URL");
        let spec = serde_json::json!({"release": {"version": "1"}, "vectorStore": {"external": {"url": "http://q"}},
            "auth": {"disabled": {}}});
        let handle = Handle {
            uid: None,
            pool,
            stores: Arc::new(Stores::new(None)),
            key_digest: 0,
            term: Term(3),
            spec: serde_json::from_value(spec).expect("a spec"),
        };
        registry.put("ns", handle);
        let hear = |mine| registry.hear("ns", &Error::TermOver { mine, current: 9 });
        hear(2);
        assert!(registry.deposed().now_or_never().is_none(), "a term of before");
        hear(3);
        assert!(registry.deposed().now_or_never().is_some());
    }
}
