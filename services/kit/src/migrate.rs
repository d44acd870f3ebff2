//! Schema migrations: each crate has its set, each set its schema with a ledger of its own.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::db;

/// A set of migrations and the schema that it builds.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// The schema; made when it is missing. The ledger `_sqlx_migrations` lies in it.
    pub schema: &'static str,
    /// The migrations.
    pub migrator: &'static Migrator,
}

/// What can go wrong with migrations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or refused.
    #[error("cannot prepare the schema {schema}")]
    Prepare {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The lock and the search path of a migration are a session's, and a pooler in transaction mode has none.
    #[error("cannot migrate the schema {schema} through a pooler: use a URL that leads to the database itself")]
    BehindPooler {
        /// The schema.
        schema: &'static str,
    },
    /// A migration failed, or the ledger holds one that was changed afterwards.
    #[error("cannot migrate the schema {schema}")]
    Migrate {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: MigrateError,
    },
    /// The database is older than this binary needs: run its `migrate` first.
    #[error("the schema {schema} lacks migration {version}; run the `migrate` command of this release")]
    Behind {
        /// The schema.
        schema: &'static str,
        /// The first migration that is missing.
        version: i64,
    },
}

static ROLES: Migrator = sqlx::migrate!("./migrations");

/// Notes that a component has built its schemas for a release.
///
/// # Errors
/// What the database says.
pub async fn record_release(pool: &PgPool, component: &str, release: &str) -> sqlx::Result<()> {
    db::single("release_record", pool, async |connection| {
        sqlx::query("insert into kit.releases (component, release) values ($1, $2) on conflict do nothing")
            .bind(component)
            .bind(release)
            .execute(connection)
            .await
    })
    .await?;
    Ok(())
}

/// Returns which of the components have not yet built their schemas for a release. The kit's own set has to be there.
///
/// # Errors
/// What the database says.
pub async fn find_unbuilt(pool: &PgPool, components: &[&str], release: &str) -> sqlx::Result<Vec<String>> {
    db::single("release_check", pool, async |connection| {
        sqlx::query_scalar(
            "select wanted from unnest($1::text[]) with ordinality as asked (wanted, place)
             where not exists (select from kit.releases where component = wanted and release = $2) order by place",
        )
        .bind(components)
        .bind(release)
        .fetch_all(connection)
        .await
    })
    .await
}

/// One lock for all sets: migration Jobs of two releases never run at once.
const LOCK: i64 = 0x6165_7465_726e_6101;

/// Returns the kit's own set: the roles that all others grant to.
#[must_use]
pub fn kit_migrations() -> Migrations {
    Migrations {
        schema: "kit",
        migrator: &ROLES,
    }
}

impl Migrations {
    /// Brings the schema up to date. Safe to repeat and to run at the same time elsewhere.
    ///
    /// # Errors
    /// [`Error::Prepare`], [`Error::Migrate`].
    pub async fn run(&self, pool: &PgPool) -> Result<(), Error> {
        let schema = self.schema;
        let prepare = |source| Error::Prepare { schema, source };
        if db::is_behind_pooler(pool) {
            return Err(Error::BehindPooler { schema });
        }
        // A connection of its own: the search path and the lock must not go back to the pool.
        let mut connection = pool.acquire().await.map_err(prepare)?.detach();
        self.enter(&mut connection).await.map_err(prepare)?;
        self.migrator
            .run(&mut connection)
            .await
            .map_err(|source| Error::Migrate { schema, source })?;
        connection.close().await.map_err(prepare)
    }

    /// Takes the lock, which ends with the connection, and makes the schema the current one.
    async fn enter(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("select pg_advisory_lock($1)")
            .bind(LOCK)
            .execute(&mut *connection)
            .await?;
        // The schema's name is a constant of ours.
        let create = format!("create schema if not exists {}", self.schema);
        sqlx::query(sqlx::AssertSqlSafe(create))
            .execute(&mut *connection)
            .await?;
        sqlx::query("select set_config('search_path', $1, false), set_config('statement_timeout', '0', false)")
            .bind(self.schema)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Tells whether the database has all migrations that this binary knows; later ones are fine.
    ///
    /// # Errors
    /// [`Error::Behind`] names the first one that is missing.
    pub async fn check(&self, pool: &PgPool) -> Result<(), Error> {
        let schema = self.schema;
        let prepare = |source| Error::Prepare { schema, source };
        let table = format!("{schema}._sqlx_migrations");
        let applied: Vec<i64> = db::single("schema_check", pool, async |connection| {
            let there: Option<String> = sqlx::query_scalar("select to_regclass($1)::text")
                .bind(&table)
                .fetch_one(&mut *connection)
                .await?;
            if there.is_none() {
                return Ok(Vec::new());
            }
            let select = format!("select version from {table} where success");
            sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                .fetch_all(connection)
                .await
        })
        .await
        .map_err(prepare)?;
        let missing = self
            .migrator
            .iter()
            .map(|migration| migration.version)
            .find(|version| !applied.contains(version));
        missing.map_or(Ok(()), |version| Err(Error::Behind { schema, version }))
    }
}
