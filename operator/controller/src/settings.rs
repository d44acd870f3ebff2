//! The operator's settings, from its environment.

use clap::Parser;

/// Runs Aeterna on Kubernetes.
#[derive(Debug, Clone, Parser)]
#[command(name = "aeterna-operator", version)]
pub struct Settings {
    /// The only namespace to look after; all, when left out.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// The namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "aeterna-system")]
    pub lease_namespace: String,

    /// Who this process is in the Lease: its Pod's name.
    #[arg(long, env = "POD_NAME", default_value = "aeterna-operator")]
    pub identity: String,

    /// The port of /health, /ready and /metrics.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
}
