//! A real PostgreSQL server.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::guard::{Guarded, free_port, wait_for};

/// Where Debian keeps the server's programs, newest first.
const VERSIONS: [&str; 4] = ["18", "17", "16", "15"];

/// A PostgreSQL server on a loopback port, with a login `aeterna` that may make roles and databases and is no superuser.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    fsync: &'static str,
    server: Option<Guarded>,
}

/// Tests need no write to survive a power loss.
const FORGETFUL: &str = "fsync=off";

/// Where a commit is measured, it must cost what it costs.
const DURABLE: &str = "fsync=on";

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

impl Postgres {
    /// Returns the server that all tests of this process share.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts a server of its own, for tests that stop it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up.
    pub async fn start() -> Result<Self> {
        Self::start_with(FORGETFUL).await
    }

    /// Starts a server that keeps what it has acknowledged through a power loss, for measurements.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(DURABLE).await
    }

    async fn start_with(fsync: &'static str) -> Result<Self> {
        let programs = VERSIONS
            .iter()
            .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
            .find(|dir| dir.join("initdb").exists())
            .context("PostgreSQL is not installed: run `make deps`")?;
        let dir = tempfile::Builder::new().prefix("aeterna-pg-").tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777))?;
        let mut this = Self {
            programs,
            dir,
            port: free_port()?,
            fsync,
            server: None,
        };
        this.init()?;
        this.run().await?;
        let mut connection = PgConnection::connect(&this.url_as("postgres", "postgres")).await?;
        sqlx::query("create role aeterna login createrole createdb password 'aeterna'")
            .execute(&mut connection)
            .await?;
        Ok(this)
    }

    fn init(&self) -> Result<()> {
        let initdb = self.programs.join("initdb");
        let data = self.data();
        let options = ["-A", "trust", "-U", "postgres", "--no-sync", "--locale=C.UTF-8", "-D"];
        let mut words: Vec<&OsStr> = as_postgres().into_iter().map(OsStr::new).collect();
        words.push(initdb.as_os_str());
        let (program, before) = words.split_first().context("there is a program")?;
        let output = Command::new(program)
            .args(before)
            .args(options)
            .arg(&data)
            .current_dir(self.dir.path())
            .output()?;
        ensure!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    async fn run(&mut self) -> Result<()> {
        let (program, data, port) = (self.programs.join("postgres"), self.data(), self.port.to_string());
        let (program, data) = (program.to_string_lossy(), data.to_string_lossy());
        let mut command = as_postgres();
        command.extend([&*program, "-D", &*data, "-p", &*port, "-k", "", "-h", "127.0.0.1"]);
        // Tests make many connections.
        command.extend(["-c", "max_connections=400", "-c", self.fsync]);
        self.server = Some(Guarded::start(&command, "QUIT")?);
        let url = self.url_as("postgres", "postgres");
        wait_for("PostgreSQL", || async { Ok(PgConnection::connect(&url).await?) })
            .await?
            .close()
            .await?;
        Ok(())
    }

    /// Stops the server at once, as a crash does; its data stays.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Guarded::stop)
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        self.run().await
    }

    /// Makes a new empty database and returns its URL for the login `aeterna`, who owns it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&self.url_as("aeterna", "postgres")).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await?;
        Ok(self.url_as("aeterna", &name))
    }

    /// Returns a URL for the superuser of the server, to damage things on purpose.
    #[must_use]
    pub fn superuser(&self, url: &str) -> String {
        let name = url.rsplit('/').next().unwrap_or("postgres");
        self.url_as("postgres", name)
    }

    /// Returns the port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn url_as(&self, login: &str, database: &str) -> String {
        format!("postgres://{login}:aeterna@127.0.0.1:{}/{database}", self.port)
    }
}

/// What stands before a program that refuses to run as root; the user postgres comes with Debian's package.
pub(crate) fn as_postgres() -> Vec<&'static str> {
    if is_root() {
        vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    } else {
        Vec::new()
    }
}

fn is_root() -> bool {
    // The owner of our own process directory is our effective user.
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
