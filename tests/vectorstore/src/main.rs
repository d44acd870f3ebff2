//! Serves a directory as a small Qdrant until it is told to end (SIGTERM or Ctrl-C).

use std::{net::SocketAddr, path::PathBuf};

use aeterna_vectorstore::Server;
use anyhow::Context;
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// A small server that speaks Qdrant's gRPC, with exact search.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:6334")]
    listen: SocketAddr,
    /// The directory of the data; made if it is missing.
    #[arg(long)]
    data: PathBuf,
    /// The key that clients must send in the header `api-key`.
    #[arg(long, env = "VECTORSTORE_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// What to log, as directives of tracing.
    #[arg(long, env = "RUST_LOG", default_value = "warn,aeterna_vectorstore=info")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::builder()
                .with_default_directive(tracing::Level::WARN.into())
                .parse_lossy(&args.log),
        )
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut server = Server::open(&args.data).with_context(|| format!("cannot open {}", args.data.display()))?;
    if let Some(key) = &args.api_key {
        server = server.with_api_key(key);
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    tracing::info!(address = %listener.local_addr()?, data = %args.data.display(), "serving");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    server.serve(listener, shutdown).await?;
    tracing::info!("ended");
    Ok(())
}
