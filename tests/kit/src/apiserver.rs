//! A real API server with our definitions, and no node.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::guard::wait_for;
use crate::program::output;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The API server; it ends with this process.
#[derive(Debug)]
pub struct ApiServer {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl ApiServer {
    /// Starts it and installs the definitions. `options` are those of `tests/cluster apiserver`.
    ///
    /// # Errors
    /// When the local cluster cannot be built, or does not come up.
    pub async fn start(prefix: &str, options: &[&str]) -> Result<Self> {
        let printed = output(
            Command::new("make")
                .args(["-s", "-C", "tests/cluster", "path"])
                .current_dir(ROOT),
        )?;
        let cluster = Path::new(last_line(&printed));
        let owner = std::process::id().to_string();
        let name = format!("{prefix}-{owner}");
        let up = ["apiserver", "--name", &name, "--owner-pid", &owner];
        let printed = output(Command::new(cluster).args(up).args(options))?;
        let this = Self {
            kubectl: cluster.with_file_name("kubectl"),
            kubeconfig: PathBuf::from(last_line(&printed)),
        };
        this.kubectl(&["apply", "-k", "crds/yaml"])?;
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        wait_for("the definitions", || async { this.kubectl(&established) }).await?;
        Ok(this)
    }

    /// Returns the kubeconfig's path.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl in the repository, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(
            Command::new(&self.kubectl)
                .args(arguments)
                .current_dir(ROOT)
                .env("KUBECONFIG", &self.kubeconfig),
        )
    }
}

/// Builds tell what they do before they tell what was asked for.
fn last_line(printed: &str) -> &str {
    printed.lines().last().unwrap_or_default()
}
