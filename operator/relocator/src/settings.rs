//! The relocator's settings, from its environment.

use clap::Parser;

/// Builds, verifies, switches and cleans tenant projections.
#[derive(Parser)]
#[command(name = "aeterna-relocator", version)]
pub struct Settings {
    /// The truth: a PostgreSQL URL of the login that ran the migrations.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// The key that every vector store demands; none when they demand none.
    #[arg(long, env = "QDRANT_API_KEY", hide_env_values = true)]
    pub qdrant_api_key: Option<String>,

    /// Moves driven at the same time.
    #[arg(long, env = "RELOCATOR_CONCURRENCY", default_value_t = 4)]
    pub concurrency: usize,

    /// The port of /health, /ready and /metrics.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("concurrency", &self.concurrency)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
