//! A real API server with our definitions, and nothing else of Kubernetes: no node, no controllers but ours.

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::scrape;

/// The API server; it ends with this process.
#[derive(Debug)]
pub struct ApiServer(aeterna_testkit::ApiServer);

/// What counts as a write.
const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];

impl ApiServer {
    /// Starts it and installs the definitions.
    pub async fn start() -> Result<Self> {
        // The process has one TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        aeterna_testkit::ApiServer::start("bench", &[]).await.map(Self)
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Client> {
        let read = Kubeconfig::read_from(self.0.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Returns the kubeconfig's path.
    pub fn kubeconfig(&self) -> Result<&str> {
        self.0
            .kubeconfig()
            .to_str()
            .context("the kubeconfig's path is not UTF-8")
    }

    /// Counts the writes that the server has served so far: those of Leases, and all others.
    pub fn count_writes(&self) -> Result<(f64, f64)> {
        let text = self.0.kubectl(&["get", "--raw", "/metrics"])?;
        let count = |of_leases: bool| {
            scrape::sum(&text, "apiserver_request_total", |labels| {
                let writes = labels.get("verb").is_some_and(|verb| WRITES.contains(verb));
                writes && (labels.get("resource") == Some(&"leases")) == of_leases
            })
        };
        Ok((count(true), count(false)))
    }
}
