//! A real Redis server.

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::guard::{Guarded, free_port, wait_for};

/// A Redis server on a loopback port.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    port: u16,
    server: Option<Guarded>,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    /// When Redis is not installed or does not come up.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("aeterna-redis-").tempdir()?;
        let mut this = Self {
            dir,
            port: free_port()?,
            server: None,
        };
        this.start_again().await?;
        Ok(this)
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        let (dir, port) = (self.dir.path().to_string_lossy(), self.port.to_string());
        let command = [
            "redis-server",
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            &dir,
            "--save",
            "",
        ];
        self.server = Some(Guarded::start(&command, "TERM")?);
        wait_for("Redis", || ping(self.port)).await
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Guarded::stop)
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

async fn ping(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.context("Redis does not answer")?;
    anyhow::ensure!(&answer == b"+PONG\r\n", "Redis is not ready");
    Ok(())
}
