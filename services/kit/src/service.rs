//! A service's process: its commands, what it stands on, and its end.

use std::sync::Arc;

use axum::Router;
use clap::{Args, Parser, Subcommand};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use tracing_subscriber::EnvFilter;
use utoipa::openapi::OpenApi;

use crate::auth::Authenticator;
use crate::cache::Cache;
use crate::config::Settings;
use crate::db;
use crate::http::health::{Need, Readiness, Scrape};
use crate::http::observe;
use crate::http::stack::{Stack, asked_to_end, serve};
use crate::migrate::{self, Migrations};

pub use crate::document::document;

/// What a service's binary can be asked to do; `S` are the settings of serving.
#[derive(Debug, Subcommand)]
pub enum Command<S: Args> {
    /// Serve. This is meant when no command is given.
    Serve(Box<S>),
    /// Bring the database's schemas up to date, and end.
    Migrate(Migration),
    /// Print the OpenAPI document, and end.
    Openapi,
}

/// What building the schemas needs.
#[derive(Args)]
pub struct Migration {
    /// The truth: postgres://user:password@host:5432/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,

    /// Which release this is; the operator waits until each service has noted it.
    #[arg(long, env = "RELEASE")]
    release: Option<String>,
}

impl std::fmt::Debug for Migration {
    /// Leaves out the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migration")
            .field("release", &self.release)
            .finish_non_exhaustive()
    }
}

#[derive(Parser)]
#[command(version)]
struct CommandLine<S: Args> {
    #[command(subcommand)]
    command: Command<S>,
}

/// Reads the command line; without a command it is `serve`.
#[must_use]
pub fn parse<S: Args>() -> Command<S> {
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.len() == 1 {
        words.push("serve".into());
    }
    CommandLine::<S>::parse_from(words).command
}

/// A service as its process knows it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name, as in Kubernetes: `memory-service`.
    pub name: &'static str,
    /// Its port, unless PORT says otherwise.
    pub port: u16,
    /// The schemas that it needs, in the order in which they are built.
    pub migrations: Vec<Migrations>,
    /// It keeps something in the cache.
    pub caches: bool,
}

/// What a service stands on.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// The truth.
    pub pool: PgPool,
    /// The cache.
    pub cache: Cache,
    /// Who callers are.
    pub authenticator: Authenticator,
    /// The checks of `/ready`, to which a service adds its own.
    pub readiness: Readiness,
}

/// Sends logs to stderr: JSON, or text on a terminal. `RUST_LOG` filters them.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A process has one subscriber; a second call keeps the first.
    let _ = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        logs.try_init()
    } else {
        logs.json().try_init()
    };
}

impl Foundation {
    /// Lays the foundation: nothing is asked of a database or a cache yet, so that the process starts also without them.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn lay(definition: &Definition, settings: &Settings) -> anyhow::Result<Self> {
        let limits = db::Limits {
            connections: settings.database_max_connections,
            ..db::Limits::default()
        };
        let pool = db::connect_lazy(&settings.database_url, definition.name, limits)?;
        let cache_url = settings.redis_url.as_deref().filter(|_| definition.caches);
        let cache = Cache::connect_lazy(cache_url)?;
        let authenticator = settings.authenticator()?;
        let (asked, migrations) = (pool.clone(), Arc::new(definition.migrations.clone()));
        let safe = Arc::new(OnceCell::new());
        let pinged = cache.clone();
        let mut readiness = Readiness::default().with("database", Need::Required, move || {
            check_database(asked.clone(), Arc::clone(&migrations), Arc::clone(&safe))
        });
        if cache_url.is_some() {
            readiness = readiness.with("cache", Need::Optional, move || {
                let cache = pinged.clone();
                async move { cache.ping().await }
            });
        }
        Ok(Self {
            pool,
            cache,
            authenticator,
            readiness,
        })
    }
}

/// The database answers, has the schemas, and its role is safe.
async fn check_database(pool: PgPool, migrations: Arc<Vec<Migrations>>, safe: Arc<OnceCell<()>>) -> Result<(), String> {
    for set in migrations.iter() {
        set.check(&pool).await.map_err(|error| error.to_string())?;
    }
    if migrations.is_empty() {
        db::single("ping", &pool, async |connection| {
            sqlx::query("select 1").execute(connection).await
        })
        .await
        .map_err(|error| error.to_string())?;
        return Ok(());
    }
    // Once it was found safe; the database may have been away when the process started.
    safe.get_or_try_init(|| db::require_safe_role(&pool))
        .await
        .map_err(|error| error.to_string())?;
    Ok(())
}

/// Builds the schemas.
///
/// # Errors
/// When the database does not answer or a migration fails.
pub async fn migrate(definition: &Definition, wanted: &Migration) -> anyhow::Result<()> {
    let pool = db::connect_lazy(&wanted.database_url, definition.name, db::Limits::default())?;
    for set in &definition.migrations {
        set.run(&pool).await?;
        tracing::info!(schema = set.schema, "migrated");
    }
    if let Some(release) = &wanted.release {
        migrate::record_release(&pool, definition.name, release).await?;
    }
    Ok(())
}

/// Serves a router until the process is asked to end.
///
/// # Errors
/// When the role of the database is unsafe or the port is taken.
pub async fn run(definition: &Definition, settings: &Settings, laid: Foundation, routes: Router) -> anyhow::Result<()> {
    match db::require_safe_role(&laid.pool).await {
        Err(error @ db::Error::Unsafe { .. }) => return Err(error.into()),
        // Away, or not migrated yet: /ready says so, and looks at the role again.
        Err(error) => tracing::warn!(%error, "the database's role could not be looked at"),
        Ok(()) => {}
    }
    let recorder = observe::install(definition.name)?;
    let stack = Stack {
        readiness: laid.readiness.clone(),
        scrape: Scrape {
            recorder,
            pool: Some(laid.pool),
        },
        open_to_browsers: laid.authenticator.is_disabled(),
    };
    let port = settings.port.unwrap_or(definition.port);
    serve(stack.wrap(routes), port, laid.readiness, asked_to_end()).await?;
    Ok(())
}

/// Writes a document as the repository keeps it.
///
/// # Errors
/// When standard output is closed.
pub fn print_document(document: &OpenApi) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{}", document.to_pretty_json()?)?;
    Ok(())
}
