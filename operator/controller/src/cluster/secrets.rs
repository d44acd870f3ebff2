//! The Secrets of a namespace, each read once in a pass, and what becomes of a pod when one changes.
//!
//! Pods read a Secret when they start. So that a changed one reaches them, the template of each Deployment carries a digest
//! of all that its pods read of Secrets; a settled cluster is looked at every half a minute, and a digest that has changed
//! is a rollout. The operator may get Secrets and not watch them, so this is as soon as it can know.

use std::collections::HashMap;

use aeterna_crds::v1alpha1::{Reason, SecretKeyRef};
use aeterna_kit::hex::hex;
use aeterna_plan::report::Because;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use sha2::{Digest as _, Sha256};

use super::Error;

/// Reads a key of a Secret, or says what is wrong with it.
pub(super) async fn fetch_secret(
    client: &Client,
    namespace: &str,
    from: &SecretKeyRef,
) -> Result<Result<String, Because>, Error> {
    Secrets::new(client, namespace).fetch(from).await
}

/// What was read of a namespace's Secrets so far.
pub(super) struct Secrets<'a> {
    client: &'a Client,
    namespace: &'a str,
    read: HashMap<String, Result<Option<Secret>, Because>>,
}

impl<'a> Secrets<'a> {
    /// Begins with none.
    pub(super) fn new(client: &'a Client, namespace: &'a str) -> Self {
        Self {
            client,
            namespace,
            read: HashMap::new(),
        }
    }

    /// Reads a key of a Secret, or says what is wrong with it.
    pub(super) async fn fetch(&mut self, from: &SecretKeyRef) -> Result<Result<String, Because>, Error> {
        if !self.read.contains_key(&from.name) {
            let read = self.read(&from.name).await?;
            self.read.insert(from.name.clone(), read);
        }
        Ok(match self.read.get(&from.name) {
            Some(Err(because)) => Err(because.clone()),
            Some(Ok(found)) => choose(found.as_ref(), from),
            None => choose(None, from),
        })
    }

    /// Returns a digest of what some pods read, if all of it is there.
    pub(super) async fn digest(&mut self, wanted: &[SecretKeyRef]) -> Result<Option<String>, Error> {
        let mut digest = Sha256::new();
        for from in wanted {
            let Ok(value) = self.fetch(from).await? else {
                return Ok(None);
            };
            // A digest of each part: two values that share a border must not look like two others.
            for part in [&from.name, &from.key, &value] {
                digest.update(Sha256::digest(part));
            }
        }
        Ok(Some(hex(&digest.finalize())))
    }

    async fn read(&self, name: &str) -> Result<Result<Option<Secret>, Because>, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        match api.get_opt(name).await {
            Ok(found) => Ok(Ok(found)),
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let message = format!(
                    "the operator may not read Secret {name}: bind the ClusterRole aeterna-operator-secrets in this namespace"
                );
                Ok(Err(Because::new(Reason::SecretForbidden, message)))
            }
            Err(source) => Err(Error::Api {
                operation: "read a Secret",
                source: Box::new(source),
            }),
        }
    }
}

fn choose(found: Option<&Secret>, from: &SecretKeyRef) -> Result<String, Because> {
    let Some(secret) = found else {
        let message = format!("Secret {} is missing: create it with the key {}", from.name, from.key);
        return Err(Because::new(Reason::SecretMissing, message));
    };
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(&from.key)) else {
        let message = format!("Secret {} has no key {}", from.name, from.key);
        return Err(Because::new(Reason::SecretKeyMissing, message));
    };
    match std::str::from_utf8(&bytes.0) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(_) => {
            let message = format!("Secret {} holds no text under the key {}", from.name, from.key);
            Err(Because::new(Reason::SecretInvalid, message))
        }
    }
}
