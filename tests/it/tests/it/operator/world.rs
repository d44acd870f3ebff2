//! One API server for all tests of this process, and one operator that looks after all of its namespaces.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aeterna_operator::run::operate;
use aeterna_operator::settings::Settings;
use anyhow::{Context as _, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::OnceCell;

static KUBECONFIG: OnceCell<PathBuf> = OnceCell::const_new();

static OPERATOR: OnceCell<()> = OnceCell::const_new();

/// Connects to the API server, which is started by whoever comes first.
pub async fn connect() -> Result<Client> {
    Ok(Client::try_from(config().await?)?)
}

/// The same, where an operator works.
pub async fn connect_operated() -> Result<Client> {
    let config = config().await?;
    OPERATOR
        .get_or_try_init(|| async {
            let settings = Settings {
                watch_namespace: None,
                lease_namespace: "default".to_owned(),
                identity: "tests".to_owned(),
                port: 0,
            };
            // A runtime of its own: that of a test ends with the test.
            std::thread::Builder::new()
                .name("operator".to_owned())
                .spawn(move || run(config, settings))
                .map(|_| ())
        })
        .await?;
    connect().await
}

fn run(config: Config, settings: Settings) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(operate(
        config,
        PrometheusBuilder::new().build_recorder().handle(),
        settings,
    ))
}

/// Returns the kubeconfig's path, for kubectl.
pub async fn kubeconfig() -> Result<PathBuf> {
    KUBECONFIG.get_or_try_init(start).await.cloned()
}

/// Returns how to reach the API server.
pub async fn config() -> Result<Config> {
    let read = Kubeconfig::read_from(kubeconfig().await?)?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    config.read_timeout = Some(Duration::from_secs(300));
    Ok(config)
}

/// Starts an API server that ends with this process, and installs the definitions.
async fn start() -> Result<PathBuf> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let cluster = output(
        Command::new("make")
            .args(["-s", "-C", "tests/cluster", "path"])
            .current_dir(root),
    )?;
    let (name, owner) = (format!("it-{}", std::process::id()), std::process::id().to_string());
    let up = ["apiserver", "--name", &name, "--owner-pid", &owner, "--controllers"];
    let kubeconfig = PathBuf::from(output(Command::new(cluster).args(up))?);
    for file in ["crds/yaml/aeternaclusters.yaml", "crds/yaml/tenantshards.yaml"] {
        output(
            Command::new("kubectl")
                .args(["apply", "-f", file])
                .current_dir(root)
                .env("KUBECONFIG", &kubeconfig),
        )?;
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
    output(Command::new("kubectl").args(established).env("KUBECONFIG", &kubeconfig))?;
    Ok(kubeconfig)
}

/// Runs a program to its end and returns what it printed last.
fn output(program: &mut Command) -> Result<String> {
    let done = program
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program:?}"))?;
    ensure!(
        done.status.success(),
        "{program:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    let shown = String::from_utf8(done.stdout)?;
    Ok(shown.lines().last().unwrap_or_default().to_owned())
}
