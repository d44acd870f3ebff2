//! Compiled policies by tenant, good for one version of the tenant's set.
//!
//! Every use asks the database for the version first, in its own transaction, so no decision is made by policies that have
//! been changed since. A transaction that has changed policies itself must not come here: what it sees may never be
//! committed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::engine::Compiled;
use crate::store::{Scoped, policies};

/// Tenants remembered; beyond, all are compiled anew.
const REMEMBERED: usize = 1_000;

/// The sets.
#[derive(Debug, Default)]
pub struct Sets(RwLock<HashMap<String, (i64, Arc<Compiled>)>>);

impl Sets {
    /// Returns the tenant's policies as they are now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn current(&self, tx: &mut Scoped) -> sqlx::Result<Arc<Compiled>> {
        let version = policies::fetch_set_version(tx).await?;
        if let Some(known) = self.known(tx.tenant(), version) {
            metrics::counter!("cache_hits_total").increment(1);
            return Ok(known);
        }
        metrics::counter!("cache_misses_total").increment(1);
        let (version, active) = policies::fetch_active(tx).await?;
        let compiled = Arc::new(Compiled::build(active));
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= REMEMBERED {
            sets.clear();
        }
        sets.insert(tx.tenant().to_owned(), (version, Arc::clone(&compiled)));
        Ok(compiled)
    }

    fn known(&self, tenant: &str, version: i64) -> Option<Arc<Compiled>> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, compiled) = sets.get(tenant)?;
        (*known == version).then(|| Arc::clone(compiled))
    }
}
