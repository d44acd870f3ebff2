//! Finding the cluster and its tenants.

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use kube::api::{Api, ListParams};
use kube::{Client, Config};

use crate::error::Error;

/// A namespace of a Kubernetes cluster.
#[derive(Clone)]
pub struct Place {
    /// The API server.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Place {
    /// Finds the cluster that kubectl would use.
    ///
    /// # Errors
    /// [`Error::NoConfig`].
    pub async fn find(namespace: Option<String>) -> Result<Self, Error> {
        // The process has one TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::infer().await.map_err(|error| Error::NoConfig(error.into()))?;
        let namespace = namespace.unwrap_or_else(|| match config.default_namespace.as_str() {
            // Nobody installs Aeterna there; the quickstart's namespace is the better guess.
            "default" => "aeterna".to_owned(),
            other => other.to_owned(),
        });
        let client = Client::try_from(config).map_err(|error| Error::NoConfig(error.into()))?;
        Ok(Self { client, namespace })
    }

    /// Returns the TenantShards.
    #[must_use]
    pub fn tenants(&self) -> Api<TenantShard> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Lists all TenantShards, by tenant.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::Forbidden`], [`Error::Api`].
    pub async fn list(&self) -> Result<Vec<TenantShard>, Error> {
        let listed = self.tenants().list(&ListParams::default()).await;
        let mut items = listed
            .map_err(|error| Error::api("list TenantShards", &self.namespace, error))?
            .items;
        items.sort_by(|a, b| a.spec.tenant_id.cmp(&b.spec.tenant_id));
        Ok(items)
    }

    /// Finds a tenant's TenantShard.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] lists those that there are.
    pub async fn find_tenant(&self, tenant: &str) -> Result<TenantShard, Error> {
        let all = self.list().await?;
        let known: Vec<String> = all.iter().map(|object| object.spec.tenant_id.clone()).collect();
        all.into_iter()
            .find(|object| object.spec.tenant_id == tenant)
            .ok_or_else(|| Error::UnknownTenant {
                tenant: tenant.to_owned(),
                namespace: self.namespace.clone(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            })
    }

    /// Tells whether a name is one of the cluster's shared shards.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Api`].
    pub async fn is_shared_shard(&self, name: &str) -> Result<bool, Error> {
        let api: Api<AeternaCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt("aeterna").await;
        let cluster = found.map_err(|error| Error::api("read the AeternaCluster", &self.namespace, error))?;
        Ok(cluster.is_some_and(|cluster| {
            cluster
                .spec
                .sharding
                .shared_shards
                .iter()
                .any(|shard| shard.name == name)
        }))
    }
}
