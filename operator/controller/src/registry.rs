//! The clusters whose database is known, for the controller of tenants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;

use aeterna_crds::v1alpha1::AeternaClusterSpec;
use aeterna_kit::db;
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
    /// The term of this leader there.
    pub term: Term,
    /// What it asks for.
    pub spec: AeternaClusterSpec,
}

/// Connections to databases, and the clusters that are ready, by namespace.
#[derive(Debug, Default)]
pub struct Registry {
    pools: Mutex<HashMap<String, (String, PgPool)>>,
    handles: Mutex<HashMap<String, Handle>>,
}

/// Connections to one database: one for each controller.
const CONNECTIONS: u32 = 2;

impl Registry {
    /// Returns the pool for a namespace's database; a changed URL makes a new one.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn pool(&self, namespace: &str, url: &str) -> Result<PgPool, db::Error> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
        Ok(pool)
    }

    /// Returns the cluster of a namespace, if it is ready for tenants.
    #[must_use]
    pub fn get(&self, namespace: &str) -> Option<Handle> {
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(namespace)
            .cloned()
    }

    /// Declares a cluster ready for tenants.
    pub fn put(&self, namespace: &str, handle: Handle) {
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace.to_owned(), handle);
    }

    /// Forgets what is known of a namespace's cluster, unless it has this uid.
    pub fn forget_other(&self, namespace: &str, uid: Option<&str>) {
        if self.get(namespace).is_some_and(|known| known.uid.as_deref() != uid) {
            self.forget(namespace);
        }
    }

    /// Forgets a namespace: its cluster is gone.
    pub fn forget(&self, namespace: &str) {
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
        self.pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
    }
}
