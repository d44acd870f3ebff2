//! Server-side apply of children, and only when it would change something.
//!
//! One field manager a controller, forced: the operator owns what it sets, and leaves alone what it does not set, such as
//! the replicas that an autoscaler rules. An apply that changes nothing is still a request; so the operator remembers what
//! it applied and what the object looked like then, and asks again only when one of the two has changed.
//!
//! A field that a manager sets no more is removed, and removed replicas are one replica. So replicas that are to be an
//! autoscaler's from now on are held, at their number of the moment, by a second manager, until the autoscaler sets them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A child that could not be read, applied or deleted.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {kind} {name}")]
pub struct Error {
    operation: &'static str,
    kind: String,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl Error {
    /// Returns what the API server has against the child, if it understood the request and refuses it: only another spec,
    /// or other rights of the operator's, help.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let kube::Error::Api(status) = self.source.as_ref() else {
            return None;
        };
        matches!(status.code, 400 | 403 | 413 | 422).then(|| {
            format!(
                "the API server refuses to {} {} {}: {}",
                self.operation, self.kind, self.name, status.message
            )
        })
    }
}

/// Applies children.
#[derive(Debug)]
pub struct Applier {
    client: Quiet,
    manager: &'static str,
    applied: Mutex<HashMap<String, (u64, u64)>>,
}

/// A client that can be debugged.
struct Quiet(Client);

impl Debug for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Applier {
    /// Makes an applier with a field manager of its own.
    #[must_use]
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client: Quiet(client),
            manager,
            applied: Mutex::default(),
        }
    }

    /// Makes a child as it should be, and returns it as it is.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn apply<K>(&self, namespace: &str, wanted: &K) -> Result<K, Error>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let name = wanted.name_any();
        let failed = |operation| {
            let name = name.clone();
            move |source| Error {
                operation,
                kind: K::kind(&()).into_owned(),
                name,
                source: Box::new(source),
            }
        };
        let api: Api<K> = Api::namespaced(self.client.0.clone(), namespace);
        let key = format!("{namespace}/{}/{name}", K::kind(&()));
        let mut body = serde_json::to_value(wanted).unwrap_or_default();
        if let Some(object) = body.as_object_mut() {
            object.insert("apiVersion".to_owned(), K::api_version(&()).into());
            object.insert("kind".to_owned(), K::kind(&()).into());
        }
        let asked = digest(&body);
        if let Some(live) = api.get_opt(&name).await.map_err(failed("read"))? {
            if self.remembered(&key) == Some((asked, digest_live(&live, &body))) {
                return Ok(live);
            }
            if let Some(held) = self.build_hold(&live, &body) {
                let params = PatchParams::apply(&format!("{}-handover", self.manager)).force();
                api.patch(&name, &params, &Patch::Apply(&held))
                    .await
                    .map_err(failed("hold the replicas of"))?;
            }
        }
        let params = PatchParams::apply(self.manager).force();
        let live = api
            .patch(&name, &params, &Patch::Apply(&body))
            .await
            .map_err(failed("apply"))?;
        let seen = digest_live(&live, &body);
        self.applied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, (asked, seen));
        Ok(live)
    }

    /// Builds what keeps the live replicas, if they are ours and we are about to leave them to somebody else.
    fn build_hold<K: Resource<DynamicType = ()> + Serialize>(&self, live: &K, wanted: &Value) -> Option<Value> {
        if wanted.pointer("/spec/replicas").is_some() {
            return None;
        }
        let fields = live.meta().managed_fields.as_ref()?;
        let ours = fields.iter().any(|entry| {
            entry.manager.as_deref() == Some(self.manager)
                && entry.operation.as_deref() == Some("Apply")
                && entry
                    .fields_v1
                    .as_ref()
                    .is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
        });
        let replicas = serde_json::to_value(live).ok()?.pointer("/spec/replicas")?.clone();
        ours.then(|| {
            json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()),
                "metadata": {"name": live.name_any()}, "spec": {"replicas": replicas}})
        })
    }

    fn remembered(&self, key: &str) -> Option<(u64, u64)> {
        self.applied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .copied()
    }

    /// Deletes a child that is no longer asked for, if it is there and ours.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn remove<K>(&self, namespace: &str, name: &str, owner_uid: &str) -> Result<(), Error>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()> + DeserializeOwned + Clone + Debug,
    {
        let failed = |operation| {
            move |source| Error {
                operation,
                kind: K::kind(&()).into_owned(),
                name: name.to_owned(),
                source: Box::new(source),
            }
        };
        let api: Api<K> = Api::namespaced(self.client.0.clone(), namespace);
        let Some(live) = api.get_opt(name).await.map_err(failed("read"))? else {
            return Ok(());
        };
        if !live.owner_references().iter().any(|owner| owner.uid == owner_uid) {
            return Ok(());
        }
        match api.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(failed("delete")(error)),
        }
    }
}

fn digest(value: &Value) -> u64 {
    let mut hash = DefaultHasher::new();
    value.to_string().hash(&mut hash);
    hash.finish()
}

/// What of a live object can have been changed by somebody: not its status, and not the replicas that we leave alone.
fn digest_live<K: Serialize>(live: &K, wanted: &Value) -> u64 {
    let mut value = serde_json::to_value(live).unwrap_or_default();
    let replicas = wanted.pointer("/spec/replicas").is_some();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| field == "labels" || field == "ownerReferences" || field == "name");
        }
        if let Some(spec) = object
            .get_mut("spec")
            .and_then(Value::as_object_mut)
            .filter(|_| !replicas)
        {
            spec.remove("replicas");
        }
    }
    digest(&value)
}
