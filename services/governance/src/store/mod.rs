//! SQL of the schema `governance`, and nowhere else. Every function works in a [`Scoped`] transaction, so a query cannot
//! run in another tenant's scope than the one it names; [`roles::Standing`] is read by a function of the database that enters
//! the scope itself.

pub mod approvals;
pub mod audit;
pub mod policies;
pub mod roles;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db;
use aeterna_kit::problem::Problem;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// A transaction in one tenant's scope.
pub struct Scoped {
    tx: Transaction<'static, Postgres>,
    scope: TenantScope,
}

impl std::fmt::Debug for Scoped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scoped({})", self.scope.tenant())
    }
}

impl Scoped {
    /// Opens one.
    ///
    /// # Errors
    /// When the database does not answer, or lacks the schema's roles.
    pub async fn open(pool: &PgPool, scope: &TenantScope) -> sqlx::Result<Self> {
        let tx = db::tenant_tx(pool, scope).await.map_err(db::Error::into_source)?;
        Ok(Self {
            tx,
            scope: scope.clone(),
        })
    }

    /// Returns whose it is.
    #[must_use]
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Returns the tenant's id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.scope.tenant().as_str()
    }

    /// Commits.
    ///
    /// # Errors
    /// Those of the commit; then it is unknown whether it happened.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// Opens a transaction across tenants, for workers.
///
/// # Errors
/// When the database does not answer.
async fn system(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    db::system_tx(pool).await.map_err(db::Error::into_source)
}

/// An enum's word on the wire is the one in the database.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A store's error as what the caller is told.
pub trait OrProblem<T> {
    /// Makes the problem of an error.
    ///
    /// # Errors
    /// [`Problem`].
    fn or_problem(self) -> Result<T, Problem>;
}

impl<T> OrProblem<T> for sqlx::Result<T> {
    fn or_problem(self) -> Result<T, Problem> {
        self.map_err(|error| Problem::database(&error))
    }
}
