//! Compiled policies by tenant, good for one version of the tenant's set.
//!
//! Every use asks the database for the version first, for itself alone, so no decision is made by policies that have
//! been changed since. A transaction that has changed policies itself must not come here: what it sees may never be
//! committed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aeterna_kit::problem::Problem;

use crate::beside::beside;
use crate::engine::Compiled;
use crate::store::{OrProblem as _, Scoped, policies};

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
    pub async fn current(&self, tx: &mut Scoped) -> Result<Arc<Compiled>, Problem> {
        self.versioned(tx).await.map(|(_, set)| set)
    }

    /// The same with the version of the set.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn versioned(&self, tx: &mut Scoped) -> Result<(i64, Arc<Compiled>), Problem> {
        let version = policies::fetch_set_version(tx).await.or_problem()?;
        if let Some(known) = self.known(tx.tenant(), version) {
            return Ok((version, known));
        }
        metrics::counter!("cache_misses_total").increment(1);
        let (version, active) = policies::fetch_active(tx).await.or_problem()?;
        let compiled = Arc::new(beside(move || Compiled::build(active)).await?);
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= REMEMBERED {
            sets.clear();
        }
        sets.insert(tx.tenant().to_owned(), (version, Arc::clone(&compiled)));
        Ok((version, compiled))
    }

    /// Returns the tenant's policies in a version, if they are at hand. The version is one that was read for this very decision.
    #[must_use]
    pub fn known(&self, tenant: &str, version: i64) -> Option<Arc<Compiled>> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, compiled) = sets.get(tenant)?;
        let compiled = (*known == version).then(|| Arc::clone(compiled))?;
        metrics::counter!("cache_hits_total").increment(1);
        Some(compiled)
    }
}
