//! PostgreSQL: the pool, and the two ways into a transaction.
//!
//! The login of `DATABASE_URL` owns the schemas and does nothing as itself. Every transaction takes a role first:
//! `aeterna_app` together with one tenant's scope ([`tenant_tx`]), or `aeterna_system` for work across tenants
//! ([`system_tx`]: operator, relocator, relay). Both are `SET LOCAL`, so a pooler in transaction mode is harmless, and
//! row-level security is forced, so a query that forgets its tenant sees nothing.
//!
//! `?pgbouncer=true` in the URL says that a pooler in transaction mode stands before the database: then every statement
//! goes in a transaction, which alone has one server connection, and what else a connection's startup sets, the
//! transaction's begin does (`docs/decisions/0005-behind-pgbouncer.md`).

use std::future::Future;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::time::Instant;

use crate::auth::TenantScope;

/// What can go wrong with a connection or the begin of a transaction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `DATABASE_URL` is not one. Its text is not repeated: it holds a password.
    #[error("DATABASE_URL is not a PostgreSQL URL (postgres://user:password@host:5432/database)")]
    Url {
        /// What is wrong with it.
        #[source]
        source: sqlx::Error,
    },
    /// The database did not answer.
    #[error("the database does not answer")]
    Connect {
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The role could not be taken: the migrations have not run, or the login is no member.
    #[error("cannot take the role {role}; has the `migrate` command run as this login?")]
    Role {
        /// The role.
        role: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The role of a transaction could do more than it should.
    #[error("{reason}; refusing to start, for row-level security would not hold")]
    Unsafe {
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Returns what the database said.
    #[must_use]
    pub fn into_source(self) -> sqlx::Error {
        match self {
            Self::Url { source } | Self::Connect { source } | Self::Role { source, .. } => source,
            Self::Unsafe { reason } => sqlx::Error::Configuration(reason.into()),
        }
    }
}

/// How a process uses the database.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at most.
    pub connections: u32,
    /// The longest statement.
    pub statement: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10,
            statement: Duration::from_secs(10),
        }
    }
}

/// How long a request waits for a free connection; longer, and it is told to come back.
const ACQUIRE: Duration = Duration::from_secs(2);

/// What a URL says that leads to a pooler in transaction mode; the words that PgBouncer's users know.
const POOLER: &str = "pgbouncer=true";

/// A process that hangs between two statements must not keep locks.
const IDLE: &str = "15s";

/// Makes a pool; connects at first use, so a process starts also while its database is away.
///
/// # Errors
/// [`Error::Url`].
pub fn connect_lazy(url: &str, application: &str, limits: Limits) -> Result<PgPool, Error> {
    let (url, pooler) = split_pooler(url);
    let options = PgConnectOptions::from_str(&url)
        .map_err(|source| Error::Url { source })?
        .application_name(application);
    // Compiling a plan (jit) pays for queries that run for seconds; none of ours may.
    let options = if pooler {
        // A statement that was prepared on one server connection is not known on the next.
        options.statement_cache_capacity(0)
    } else {
        let statement = format!("{}ms", limits.statement.as_millis());
        options.options([
            // The write function demands it, whatever the database's default is.
            ("default_transaction_isolation", "read committed"),
            ("statement_timeout", statement.as_str()),
            ("idle_in_transaction_session_timeout", IDLE),
            ("jit", "off"),
        ])
    };
    Ok(PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(Duration::from_secs(300))
        // A broken connection shows itself at its first statement; a ping would double the round trips.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Takes the word about a pooler out of a URL, which no server knows.
fn split_pooler(url: &str) -> (String, bool) {
    let Some((address, query)) = url.split_once('?') else {
        return (url.to_owned(), false);
    };
    let kept: Vec<&str> = query.split('&').filter(|word| *word != POOLER).collect();
    let pooler = kept.len() < query.split('&').count();
    let query = kept.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    (format!("{address}{mark}{query}"), pooler)
}

/// Tells whether a pooler in transaction mode stands before the database: its connections have no startup options.
#[must_use]
pub fn is_behind_pooler(pool: &PgPool) -> bool {
    pool.connect_options().get_options().is_none()
}

/// Opens a transaction, READ COMMITTED whatever the database's default is.
///
/// In a task of its own, which a caller that gives up does not end: the client loses count of a transaction whose begin is
/// abandoned half-way, and would hand on its connection with the transaction open. The next statement there would be
/// acknowledged, and committed by nobody.
///
/// # Errors
/// Those of the connection.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { open(&pool).await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

async fn open(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    if !is_behind_pooler(pool) {
        return pool.begin().await;
    }
    let limits = Limits::default().statement.as_millis();
    let begin = format!(
        "begin isolation level read committed; set local statement_timeout = {limits};
         set local idle_in_transaction_session_timeout = '{IDLE}'; set local jit = off"
    );
    pool.begin_with(sqlx::AssertSqlSafe(begin)).await
}

/// Runs one statement that is a transaction of its own, under its name in `database_query_duration_seconds`.
///
/// # Errors
/// Those of the statement.
pub async fn single<T>(
    query_type: &'static str,
    pool: &PgPool,
    statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    timed(query_type, async {
        if !is_behind_pooler(pool) {
            return statement(&mut *pool.acquire().await?).await;
        }
        // Its two messages, the parsing and the execution, must reach the same server connection.
        let mut tx = begin(pool).await?;
        let found = statement(&mut tx).await?;
        tx.commit().await?;
        Ok(found)
    })
    .await
}

/// Opens a transaction in one tenant's scope, as `aeterna_app`.
///
/// # Errors
/// [`Error::Connect`], [`Error::Role`].
pub async fn tenant_tx(pool: &PgPool, scope: &TenantScope) -> Result<Transaction<'static, Postgres>, Error> {
    let mut tx = begin(pool).await.map_err(|source| Error::Connect { source })?;
    sqlx::query("select set_config('role', 'aeterna_app', true), set_config('app.tenant_id', $1, true)")
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await
        .map_err(|source| Error::Role {
            role: "aeterna_app",
            source,
        })?;
    Ok(tx)
}

/// Opens a transaction across tenants, as `aeterna_system`. For workers, never for a request.
///
/// # Errors
/// [`Error::Connect`], [`Error::Role`].
pub async fn system_tx(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    let mut tx = begin(pool).await.map_err(|source| Error::Connect { source })?;
    sqlx::query("select set_config('role', 'aeterna_system', true)")
        .execute(&mut *tx)
        .await
        .map_err(|source| Error::Role {
            role: "aeterna_system",
            source,
        })?;
    Ok(tx)
}

/// Refuses when the application's role is more than it should be: superuser, exempt from row-level security, or an owner.
///
/// # Errors
/// [`Error::Unsafe`] says what is wrong; [`Error::Connect`] or [`Error::Role`] when that cannot be told.
pub async fn require_safe_role(pool: &PgPool) -> Result<(), Error> {
    let mut tx = begin(pool).await.map_err(|source| Error::Connect { source })?;
    let role = |source| Error::Role {
        role: "aeterna_app",
        source,
    };
    sqlx::query("set local role aeterna_app")
        .execute(&mut *tx)
        .await
        .map_err(role)?;
    let (superuser, bypass, owned): (bool, bool, i64) = sqlx::query_as(
        "select r.rolsuper, r.rolbypassrls, (select count(*) from pg_class c where c.relowner = r.oid)
         from pg_roles r where r.rolname = current_user",
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(role)?;
    let reason = match (superuser, bypass, owned) {
        (true, _, _) => "the role aeterna_app is a superuser; run: alter role aeterna_app nosuperuser",
        (_, true, _) => "the role aeterna_app may bypass row-level security; run: alter role aeterna_app nobypassrls",
        (_, _, 1..) => "the role aeterna_app owns tables; give them to the login of DATABASE_URL",
        _ => return Ok(()),
    };
    Err(Error::Unsafe {
        reason: reason.to_owned(),
    })
}

/// Runs a query under its name in `database_query_duration_seconds`.
///
/// # Errors
/// Those of the query.
pub async fn timed<T, E>(query_type: &'static str, query: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let started = Instant::now();
    let outcome = query.await;
    metrics::histogram!("database_query_duration_seconds", "query_type" => query_type).record(started.elapsed());
    outcome
}

/// Tells whether an error means that the database is away or overloaded: the same request may succeed soon.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => true,
        // 08 connection, 53 resources, 57P shutdown, 55P03 lock, 57014 timeout, 40 serialization.
        sqlx::Error::Database(refused) => refused.code().is_some_and(|code| {
            ["08", "53", "57P", "55P03", "57014", "40"]
                .iter()
                .any(|prefix| code.starts_with(prefix))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_about_a_pooler_is_taken_out_of_the_url_and_nothing_else() {
        assert_eq!(split_pooler("postgres://h/d"), ("postgres://h/d".to_owned(), false));
        assert_eq!(
            split_pooler("postgres://h/d?pgbouncer=true"),
            ("postgres://h/d".to_owned(), true)
        );
        assert_eq!(
            split_pooler("postgres://h/d?sslmode=require&pgbouncer=true&x=y"),
            ("postgres://h/d?sslmode=require&x=y".to_owned(), true)
        );
        assert_eq!(
            split_pooler("postgres://h/d?sslmode=require"),
            ("postgres://h/d?sslmode=require".to_owned(), false)
        );
    }
}
