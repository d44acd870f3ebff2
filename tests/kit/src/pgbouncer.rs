//! A real PgBouncer in transaction mode before a PostgreSQL server.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::guard::{Guarded, free_port, wait_for};
use crate::postgres::{Postgres, as_postgres};

/// A PgBouncer on a loopback port.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _dir: TempDir,
    _server: Guarded,
}

impl PgBouncer {
    /// Starts one that has `connections` server connections for each database and login.
    ///
    /// # Errors
    /// When PgBouncer is not installed or does not come up.
    pub async fn start(server: &Postgres, connections: u32) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("aeterna-pgbouncer-").tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777))?;
        let port = free_port()?;
        let (users, settings) = (dir.path().join("users"), dir.path().join("pgbouncer.ini"));
        std::fs::write(&users, "\"aeterna\" \"aeterna\"\n")?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n\
             ignore_startup_parameters = extra_float_digits\nserver_reset_query_always = 1\n",
            server.port(),
            users.display()
        );
        std::fs::write(&settings, text)?;
        let settings = settings.to_string_lossy();
        let mut command = as_postgres();
        command.extend(["pgbouncer", &*settings]);
        let started = Guarded::start(&command, "TERM")?;
        let url = format!("postgres://aeterna:aeterna@127.0.0.1:{port}/postgres");
        wait_for("PgBouncer", || async { Ok(PgConnection::connect(&url).await?) })
            .await?
            .close()
            .await?;
        Ok(Self {
            port,
            _dir: dir,
            _server: started,
        })
    }

    /// Returns the URL that leads to the same database through the pooler, and says so.
    ///
    /// # Errors
    /// When it is no URL of the server's.
    pub fn url(&self, database_url: &str) -> Result<String> {
        let name = database_url.rsplit('/').next().context("the URL names no database")?;
        Ok(format!(
            "postgres://aeterna:aeterna@127.0.0.1:{}/{name}?pgbouncer=true",
            self.port
        ))
    }
}
