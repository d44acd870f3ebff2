//! The fence and the flip: the one place where a route changes.
//!
//! Every write of a tenant holds the tenant's advisory lock, shared, from before it reads the route until it commits. The
//! [`Fence`] is the same lock, exclusive. While it is held no write of the tenant is open: what is in the table is all
//! there is, so the last delta, which is all that the watermark's snapshot does not see, has no upper bound, and after it is acknowledged by the target, the target holds exactly the live rows. Then the route and the move change in the
//! same transaction, each by an update that must hit exactly one row.
//!
//! The hold is bounded three times: the server's `statement_timeout` and `idle_in_transaction_session_timeout` end a
//! relocator that was stopped with the fence closed, and the relocator gives its requests to Qdrant only the budget that
//! is left. A try that does not fit is rolled back; nothing has changed, and the move catches up again.
//!
//! Advisory locks queue fairly, so a waiting mover blocks later writers: it waits only [`LOCK_TIMEOUT`] and comes back.

use std::time::{Duration, Instant};

use sqlx::{PgPool, Postgres, Transaction};

use aeterna_kit::ids::TenantId;

use super::{Move, Progress, Step};
use crate::{Error, Result};

/// How long writers of the tenant may be held in one try.
pub const HOLD_BUDGET: Duration = Duration::from_millis(250);

/// How long a try waits for the open writes of the tenant, with later writers behind it.
pub const LOCK_TIMEOUT: Duration = Duration::from_millis(50);

/// SQLSTATE `lock_not_available`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The closed fence of one tenant. Dropping it opens the fence and changes nothing.
#[derive(Debug)]
pub struct Fence {
    tx: Transaction<'static, Postgres>,
    since: Instant,
}

/// How a flip ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// The route names the target now; writers waited this long.
    Done {
        /// From the granted lock to the acknowledged commit.
        pause: Duration,
    },
    /// The route or the move is not as it was when the move was recorded; rolled back.
    Refused,
}

impl Fence {
    /// Closes the fence; `None` when open writes did not end within [`LOCK_TIMEOUT`].
    ///
    /// The transaction has the system role and the tenant's scope.
    ///
    /// # Cancel safety
    /// Dropping the future opens the fence again.
    ///
    /// # Errors
    /// [`Error::Database`] when the database does not answer.
    pub async fn close(pool: &PgPool, tenant: &TenantId) -> Result<Option<Self>> {
        let operation = || format!("close the fence of {tenant}");
        let mut tx = aeterna_kit::db::system_tx(pool)
            .await
            .map_err(Error::transaction(operation()))?;
        // The isolation level is part of the proof: the delta is read by a statement after the lock was granted.
        sqlx::query(
            "select set_config('app.tenant_id', $1, true),
                    set_config('lock_timeout', $2, true),
                    set_config('statement_timeout', $3, true),
                    set_config('idle_in_transaction_session_timeout', $3, true)",
        )
        .bind(tenant.as_str())
        .bind(format!("{}ms", LOCK_TIMEOUT.as_millis()))
        .bind(format!("{}ms", HOLD_BUDGET.as_millis()))
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
        let locked = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(tenant.as_str())
            .execute(&mut *tx)
            .await;
        match locked {
            Ok(_) => Ok(Some(Self {
                tx,
                since: Instant::now(),
            })),
            Err(sqlx::Error::Database(refused)) if refused.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(None),
            Err(source) => Err(Error::Database {
                operation: operation(),
                source,
            }),
        }
    }

    /// Returns what is left of the hold budget.
    #[must_use]
    pub fn budget(&self) -> Duration {
        HOLD_BUDGET.saturating_sub(self.since.elapsed())
    }

    /// Returns the connection, to read the last delta with.
    pub fn connection(&mut self) -> &mut sqlx::PgConnection {
        &mut self.tx
    }

    /// Switches the route to the target and the move to Retain, and opens the fence.
    ///
    /// `progress` brings the counters of the last delta; its step is ignored.
    ///
    /// # Errors
    /// [`Error::Database`] when the database does not answer: whether the commit happened is then unknown, the move's row
    /// tells the next claim.
    pub async fn flip(mut self, moving: &Move, progress: &Progress) -> Result<Flip> {
        let operation = || format!("switch the route of {}", moving.tenant_id);
        let route = sqlx::query(
            "update routing.tenants set shard_id = $2, floor = $3, generation = $3
             where tenant_id = $1 and shard_id = $4 and generation = $5",
        )
        .bind(&moving.tenant_id)
        .bind(&moving.target)
        .bind(moving.generation)
        .bind(&moving.source)
        .bind(moving.base)
        .execute(&mut *self.tx)
        .await
        .map_err(Error::database(operation()))?;
        // The watermark for a way back: every change that it sees is in the source too.
        let step = sqlx::query(
            "update routing.moves set step = 'Retain', step_at = now(), updated_at = now(), flipped_at = now(),
                 retain_until = now() + retention, watermark = pg_current_snapshot(),
                 cutover_tries = $4, caught_up = $5, lag = 0, waiting_for = null, error = null,
                 failures = 0
             where move_id = $1 and attempt = $2 and step = $3",
        )
        .bind(moving.move_id)
        .bind(moving.attempt)
        .bind(Step::Cutover.as_str())
        .bind(progress.cutover_tries)
        .bind(progress.caught_up)
        .execute(&mut *self.tx)
        .await
        .map_err(Error::database(operation()))?;
        if (route.rows_affected(), step.rows_affected()) != (1, 1) {
            self.tx.rollback().await.map_err(Error::database(operation()))?;
            return Ok(Flip::Refused);
        }
        sqlx::query("select pg_notify('routing', $1)")
            .bind(&moving.tenant_id)
            .execute(&mut *self.tx)
            .await
            .map_err(Error::database(operation()))?;
        self.tx.commit().await.map_err(Error::database(operation()))?;
        Ok(Flip::Done {
            pause: self.since.elapsed(),
        })
    }
}
