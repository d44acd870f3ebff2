//! One API server for all tests of this process, and one operator that looks after all of its namespaces.

use std::time::Duration;

use aeterna_operator::run::operate;
use aeterna_operator::settings::Settings;
use aeterna_testkit::ApiServer;
use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::OnceCell;

static SERVER: OnceCell<ApiServer> = OnceCell::const_new();

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

/// Returns the API server.
pub async fn server() -> Result<&'static ApiServer> {
    SERVER
        .get_or_try_init(|| {
            // The process has one TLS provider.
            let _ = rustls::crypto::ring::default_provider().install_default();
            ApiServer::start("it", &["--controllers"])
        })
        .await
}

/// Returns how to reach the API server.
pub async fn config() -> Result<Config> {
    let read = Kubeconfig::read_from(server().await?.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    config.read_timeout = Some(Duration::from_secs(300));
    Ok(config)
}
