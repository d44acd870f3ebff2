//! What a worker writes about its job: claim, lease, end. Each write but the claim names the attempt that it was given, and
//! changes nothing when another attempt has begun.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{single, tenant_tx, timed};
use aeterna_kit::ids::TenantId;

use super::{Error, cannot, row};
use crate::job::{Event, Failures, Mode, Options, Progress, Status, failure};

/// The right to write for a job, as long as no later attempt has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Whose job it is.
    pub scope: TenantScope,
    /// The job.
    pub job: Uuid,
    /// What it runs over.
    pub connection: Uuid,
    /// The attempt: the fencing token.
    pub attempt: i32,
}

/// A claimed job.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The right to write for it.
    pub fence: Fence,
    /// Running, or cancelling when its last worker did not get to its end.
    pub status: Status,
    /// How much is looked at.
    pub mode: Mode,
    /// What else was asked.
    pub options: Options,
    /// Failures since the last committed batch.
    pub failures: Failures,
    /// Leases that ran out since the last committed batch.
    pub lost: u32,
    /// Where the last committed batch ended; none before the first.
    pub cursor: Option<serde_json::Value>,
    /// What was done so far.
    pub progress: Progress,
    /// The roles of whoever asked for it.
    pub roles: Vec<String>,
    /// How long a claim and each sign of life are good for.
    pub lease: Duration,
    /// Until when it is ours by our clock: from before the claim was asked for.
    pub good_until: Instant,
    /// How long ago it was claimed first.
    pub age: Duration,
}

/// Claims the next job for `lease`; a tenant has at most `at_once` claimed ones.
///
/// # Errors
/// When the database does not answer.
pub async fn claim(pool: &PgPool, lease: Duration, at_once: i32) -> Result<Option<Claimed>, Error> {
    let good_until = Instant::now() + lease;
    let interval = PgInterval::try_from(lease).unwrap_or(PgInterval {
        months: 0,
        days: 0,
        microseconds: 30_000_000,
    });
    let query = sqlx::query("select * from sync.claim($1, $2)")
        .bind(interval)
        .bind(at_once);
    let found = single("sync_job_claim", pool, async |connection| {
        query.fetch_optional(connection).await
    })
    .await
    .map_err(cannot("claim a job"))?;
    found
        .map(|row| read(&row, lease, good_until))
        .transpose()
        .map_err(|source| Error::Row {
            table: "sync.jobs",
            source,
        })
}

fn read(row: &sqlx::postgres::PgRow, lease: Duration, good_until: Instant) -> sqlx::Result<Claimed> {
    let tenant =
        TenantId::parse(row.try_get::<String, _>("tenant_id")?).map_err(|error| sqlx::Error::ColumnDecode {
            index: "tenant_id".to_owned(),
            source: Box::new(error),
        })?;
    let (first, now) = (row::time(row, "started_at")?, row::time(row, "heartbeat_at")?);
    let age = first.zip(now).map(|(first, now)| now.duration_since(first));
    Ok(Claimed {
        fence: Fence {
            scope: TenantScope::for_worker(tenant),
            job: row.try_get("id")?,
            connection: row.try_get("connection_id")?,
            attempt: row.try_get("attempt")?,
        },
        status: row::status(row)?,
        mode: row::mode(row)?,
        options: row::json(row, "options")?,
        failures: row::json(row, "failures")?,
        lost: u32::try_from(row.try_get::<i32, _>("lost")?).unwrap_or_default(),
        cursor: row.try_get("cursor")?,
        progress: row::json(row, "progress")?,
        roles: row.try_get("roles")?,
        lease,
        good_until,
        age: age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default(),
    })
}

/// Makes the lease last `lease` from now on; returns the status, by which a cancellation shows itself.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn heartbeat(pool: &PgPool, fence: &Fence, lease: Duration) -> Result<Status, Error> {
    timed("sync_job_heartbeat", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let renewed = sqlx::query(
            "update sync.jobs set lease_until = clock_timestamp() + make_interval(secs => $4), heartbeat_at = clock_timestamp()
             where tenant_id = $1 and id = $2 and attempt = $3 and status in ('running', 'cancelling') returning status",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.job)
        .bind(fence.attempt)
        .bind(lease.as_secs_f64())
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("renew a lease"))?;
        let row = renewed.ok_or(Error::Fenced)?;
        tx.commit().await.map_err(cannot("renew a lease"))?;
        row::status(&row).map_err(|source| Error::Row {
            table: "sync.jobs",
            source,
        })
    })
    .await
}

/// Takes the job's row for the rest of the transaction, if it is still this attempt's.
pub(super) async fn hold(tx: &mut PgConnection, fence: &Fence) -> Result<Status, Error> {
    let held = sqlx::query(
        "select status from sync.jobs
         where tenant_id = $1 and id = $2 and attempt = $3 and status in ('running', 'cancelling') for update",
    )
    .bind(fence.scope.tenant().as_str())
    .bind(fence.job)
    .bind(fence.attempt)
    .fetch_optional(tx)
    .await
    .map_err(cannot("hold a job"))?;
    let row = held.ok_or(Error::Fenced)?;
    row::status(&row).map_err(|source| Error::Row {
        table: "sync.jobs",
        source,
    })
}

/// How a job ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What happened.
    pub event: Event,
    /// Why it failed, if it did.
    pub error: Option<failure::Shown>,
    /// The digest of what is delivered, when the run was whole.
    pub digest: Option<String>,
    /// What the next run of the connection should know, when the run was whole.
    pub state: Option<serde_json::Value>,
}

/// Ends a job; returns the status that it has from now on.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn finish(pool: &PgPool, fence: &Fence, ending: Ending) -> Result<Status, Error> {
    timed("sync_job_finish", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let now = hold(&mut tx, fence).await?;
        let next = now.after(ending.event).ok_or(Error::Fenced)?;
        // The connection before the job, as whoever starts one takes them.
        if let Some(state) = ending.state {
            keep_state(&mut tx, fence, state).await?;
        }
        sqlx::query(
            "update sync.jobs set status = $3, error = $4, digest = $5, lease_until = null, revision = revision + 1,
                 finished_at = case when $6 then clock_timestamp() end
             where tenant_id = $1 and id = $2",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.job)
        .bind(next.as_str())
        .bind(ending.error.map(Json))
        .bind(ending.digest)
        .bind(next.is_terminal())
        .execute(&mut *tx)
        .await
        .map_err(cannot("end a job"))?;
        tx.commit().await.map_err(cannot("end a job"))?;
        Ok(next)
    })
    .await
}

/// Keeps what a whole run left. As long as the target refuses something, the next run looks at everything all the same: the
/// target may take it then, and the source tells of no change.
async fn keep_state(tx: &mut PgConnection, fence: &Fence, state: serde_json::Value) -> Result<(), Error> {
    sqlx::query(
        "update sync.connections set state = $3, settled = not exists (
             select from sync.rejects where tenant_id = $1 and connection_id = $2 and by_target)
         where tenant_id = $1 and id = $2",
    )
    .bind(fence.scope.tenant().as_str())
    .bind(fence.connection)
    .bind(Json(state))
    .execute(tx)
    .await
    .map_err(cannot("keep a connection's state"))?;
    Ok(())
}

/// Gives a job back for a try after `pause`; one that is being cancelled ends instead. Without an error it is no failure;
/// with one the failures that it makes in all are kept.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn release(
    pool: &PgPool,
    fence: &Fence,
    error: Option<(failure::Shown, Failures)>,
    pause: Duration,
) -> Result<Status, Error> {
    timed("sync_job_release", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        let now = hold(&mut tx, fence).await?;
        let next = now.after(Event::Released).ok_or(Error::Fenced)?;
        let (error, failures) = error.unzip();
        sqlx::query(
            "update sync.jobs set status = $3, error = coalesce($4, error),
                 failures = coalesce($7, failures), lease_until = null,
                 run_after = clock_timestamp() + make_interval(secs => $5), revision = revision + 1,
                 finished_at = case when $6 then clock_timestamp() end
             where tenant_id = $1 and id = $2",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.job)
        .bind(next.as_str())
        .bind(error.map(Json))
        .bind(pause.as_secs_f64())
        .bind(next.is_terminal())
        .bind(failures.map(Json))
        .execute(&mut *tx)
        .await
        .map_err(cannot("give a job back"))?;
        tx.commit().await.map_err(cannot("give a job back"))?;
        Ok(next)
    })
    .await
}
