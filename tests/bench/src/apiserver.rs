//! A real API server with our definitions, and nothing else of Kubernetes: no node, no controllers but ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::ground::{ROOT, output};
use crate::process::until;
use crate::scrape;

/// The API server; it ends with this process.
#[derive(Debug)]
pub struct ApiServer {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

/// What counts as a write.
const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];

impl ApiServer {
    /// Starts it and installs the definitions.
    pub async fn start() -> Result<Self> {
        // The process has one TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = output(
            Command::new("make")
                .args(["-s", "-C", "tests/cluster", "path"])
                .current_dir(ROOT),
        )?;
        let (name, owner) = (format!("bench-{}", std::process::id()), std::process::id().to_string());
        let up = ["apiserver", "--name", &name, "--owner-pid", &owner];
        let kubeconfig = PathBuf::from(output(Command::new(&cluster).args(up))?);
        let kubectl = Path::new(&cluster).with_file_name("kubectl");
        let this = Self { kubectl, kubeconfig };
        this.kubectl(&["apply", "-k", "crds/yaml"])?;
        until("the definitions are established", Duration::from_secs(30), async || {
            let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
            this.kubectl(&wait).map(|_| true)
        })
        .await?;
        Ok(this)
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Client> {
        let read = Kubeconfig::read_from(&self.kubeconfig)?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Returns the kubeconfig's path.
    pub fn kubeconfig(&self) -> Result<&str> {
        self.kubeconfig.to_str().context("the kubeconfig's path is not UTF-8")
    }

    /// Counts the writes that the server has served so far: those of Leases, and all others.
    pub fn count_writes(&self) -> Result<(f64, f64)> {
        let text = self.kubectl(&["get", "--raw", "/metrics"])?;
        let count = |of_leases: bool| {
            scrape::sum(&text, "apiserver_request_total", |labels| {
                let writes = labels.get("verb").is_some_and(|verb| WRITES.contains(verb));
                writes && (labels.get("resource") == Some(&"leases")) == of_leases
            })
        };
        Ok((count(true), count(false)))
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut program = Command::new(&self.kubectl);
        program
            .args(arguments)
            .current_dir(ROOT)
            .env("KUBECONFIG", &self.kubeconfig);
        let done = program.output().with_context(|| format!("{program:?}"))?;
        anyhow::ensure!(
            done.status.success(),
            "{program:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(String::from_utf8(done.stdout)?)
    }
}
