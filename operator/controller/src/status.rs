//! Writes statuses, and remembers what it wrote.
//!
//! A cache follows the API server with a delay. A pass that begins before its cache has seen the last write would take the
//! status before that for the newest: it would write the same again, and tell of the same change twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

/// A cache that is further behind has been cut off, and begins anew with a list.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The statuses of one kind.
pub struct Statuses<K: HasStatus> {
    manager: &'static str,
    written: Mutex<HashMap<String, Written<K::Status>>>,
}

struct Written<S> {
    /// The object's version after the write.
    version: Option<u64>,
    status: S,
    at: Instant,
}

impl<K: HasStatus> fmt::Debug for Statuses<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statuses")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl<K> Statuses<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus + Clone + DeserializeOwned + fmt::Debug,
    K::Status: Clone + Serialize,
{
    /// Makes a writer that applies as a field manager.
    #[must_use]
    pub fn new(manager: &'static str) -> Self {
        Self {
            manager,
            written: Mutex::default(),
        }
    }

    /// Returns the object with the newest status that is known: the cache's, or what was written since.
    #[must_use]
    pub fn freshen(&self, mut object: Arc<K>) -> Arc<K> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = written
            .get(&key(&*object))
            .filter(|written| written.version > version(&*object));
        if let Some(newer) = newer {
            *Arc::make_mut(&mut object).status_mut() = Some(newer.status.clone());
        }
        object
    }

    /// Writes a status. Returns false when the object is gone.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn write(&self, client: &Client, object: &K, status: &K::Status) -> kube::Result<bool> {
        let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
        let body = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status});
        let params = PatchParams::apply(self.manager).force();
        match api
            .patch_status(&object.name_any(), &params, &Patch::Apply(&body))
            .await
        {
            Ok(answer) => {
                self.remember(&answer, status);
                Ok(true)
            }
            Err(kube::Error::Api(gone)) if gone.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remember(&self, object: &K, status: &K::Status) {
        let written = Written {
            version: version(object),
            status: status.clone(),
            at: Instant::now(),
        };
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, earlier| earlier.at.elapsed() < REMEMBERED);
        all.insert(key(object), written);
    }

    /// Tells whether the status was written within the last `period`, of at most a minute.
    #[must_use]
    pub fn was_written_within(&self, period: Duration, object: &K) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written
            .get(&key(object))
            .is_some_and(|written| written.at.elapsed() < period)
    }
}

fn key<K: Resource>(object: &K) -> String {
    object.meta().uid.clone().unwrap_or_default()
}

/// Versions of one kind are numbers that grow (KEP-5504). One that is none is older than all that are.
fn version<K: Resource>(object: &K) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use aeterna_crds::v1alpha1::{TenantShard, TenantShardStatus};

    use super::*;

    fn object(uid: &str, version: &str, observed: i64) -> Arc<TenantShard> {
        let made = json!({"apiVersion": "aeterna.dev/v1alpha1", "kind": "TenantShard",
            "metadata": {"name": "acme", "uid": uid, "resourceVersion": version}, "spec": {"tenantId": "acme"},
            "status": {"observedGeneration": observed}});
        Arc::new(serde_json::from_value(made).expect("a TenantShard"))
    }

    fn observed(object: &TenantShard) -> Option<i64> {
        object.status.as_ref()?.observed_generation
    }

    #[test]
    fn what_was_written_is_newer_than_a_cache_that_has_not_seen_it() {
        let statuses = Statuses::<TenantShard>::new("test");
        let status = TenantShardStatus {
            observed_generation: Some(7),
            ..TenantShardStatus::default()
        };
        statuses.remember(&object("a", "100", 7), &status);
        assert_eq!(observed(&statuses.freshen(object("a", "99", 1))), Some(7));
        assert_eq!(observed(&statuses.freshen(object("a", "100", 7))), Some(7));
        assert_eq!(observed(&statuses.freshen(object("a", "1000", 8))), Some(8));
        // Another object of the same name.
        assert_eq!(observed(&statuses.freshen(object("b", "99", 1))), Some(1));
    }
}
