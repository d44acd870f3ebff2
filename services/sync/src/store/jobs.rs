//! Jobs as their callers see them: start, look, cancel.

use sqlx::types::Json;
use sqlx::{FromRow as _, PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{tenant_tx, timed};

use super::row::{JOB, status};
use super::{Error, cannot, connections};
use crate::connection::{Source, Target};
use crate::job::{Event, Job, Mode, Options, Status};

/// What a job runs over.
#[derive(Debug, Clone, Copy)]
pub enum Over<'a> {
    /// A source and a target, whose connection is made when it is not there.
    Pair(&'a Source, &'a Target),
    /// A connection that is there.
    Connection(Uuid),
}

/// A job to record.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// What it runs over.
    pub over: Over<'a>,
    /// How much is looked at.
    pub mode: Mode,
    /// What else is asked.
    pub options: &'a Options,
    /// The caller's key, and the hash of what it asked with it.
    pub key: Option<(&'a str, &'a [u8])>,
    /// Who asks.
    pub created_by: &'a str,
    /// Their roles.
    pub roles: &'a [String],
}

/// What recording a job found.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is new.
    New(Job),
    /// The same request was made before, under the same key.
    Same(Job),
    /// Another request was made before, under the same key.
    KeyTaken(Uuid),
    /// The connection has an active job.
    Busy(Uuid),
    /// There is no such connection.
    NoConnection,
}

/// Records a job.
///
/// # Errors
/// When the database does not answer.
pub async fn record_job(pool: &PgPool, scope: &TenantScope, new: NewJob<'_>) -> Result<Recorded, Error> {
    timed("sync_job_record", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let recorded = record(&mut tx, scope, new).await?;
        tx.commit().await.map_err(cannot("record a job"))?;
        Ok(recorded)
    })
    .await
}

/// Records a job in a transaction of the caller's.
pub(super) async fn record(tx: &mut PgConnection, scope: &TenantScope, new: NewJob<'_>) -> Result<Recorded, Error> {
    if let Some((key, hash)) = new.key {
        // Two requests with one key come one after the other.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1 || chr(1) || $2, 8004))")
            .bind(scope.tenant().as_str())
            .bind(key)
            .execute(&mut *tx)
            .await
            .map_err(cannot("lock an idempotency key"))?;
        if let Some(before) = fetch_by_key(tx, scope, key, hash).await? {
            return Ok(before);
        }
    }
    let Some(connection) = find_connection(tx, scope, new).await? else {
        return Ok(Recorded::NoConnection);
    };
    sqlx::query("insert into sync.turns (tenant_id) values ($1) on conflict do nothing")
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await
        .map_err(cannot("record a turn"))?;
    let insert = format!(
        "insert into sync.jobs as j (tenant_id, id, connection_id, status, mode, options, idempotency_key, request_hash,
             created_by, roles)
         values ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9)
         on conflict (tenant_id, connection_id) where status in ('queued', 'running', 'cancelling') do nothing
         returning {JOB}"
    );
    let inserted: Option<Job> = sqlx::query_as(sqlx::AssertSqlSafe(insert))
        .bind(scope.tenant().as_str())
        .bind(Uuid::now_v7())
        .bind(connection)
        .bind(new.mode.as_str())
        .bind(Json(new.options))
        .bind(new.key.map(|(key, _)| key))
        .bind(new.key.map(|(_, hash)| hash))
        .bind(new.created_by)
        .bind(new.roles)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("record a job"))?;
    match inserted {
        Some(job) => Ok(Recorded::New(job)),
        None => fetch_active(tx, scope, connection).await.map(Recorded::Busy),
    }
}

async fn find_connection(tx: &mut PgConnection, scope: &TenantScope, new: NewJob<'_>) -> Result<Option<Uuid>, Error> {
    match new.over {
        Over::Pair(source, target) => connections::ensure(tx, scope, (source, target), new.created_by)
            .await
            .map(Some),
        Over::Connection(id) => Ok(connections::hold(tx, scope, id).await?.then_some(id)),
    }
}

async fn fetch_by_key(
    tx: &mut PgConnection,
    scope: &TenantScope,
    key: &str,
    hash: &[u8],
) -> Result<Option<Recorded>, Error> {
    let select = format!(
        "select {JOB}, j.request_hash = $3 as same from sync.jobs j where j.tenant_id = $1 and j.idempotency_key = $2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(scope.tenant().as_str())
        .bind(key)
        .bind(hash)
        .fetch_optional(tx)
        .await
        .map_err(cannot("look for an idempotency key"))?;
    row.map(|row| {
        use sqlx::Row as _;
        let job = Job::from_row(&row)?;
        let same: bool = row.try_get("same")?;
        Ok(if same {
            Recorded::Same(job)
        } else {
            Recorded::KeyTaken(job.id)
        })
    })
    .transpose()
    .map_err(|source| Error::Row {
        table: "sync.jobs",
        source,
    })
}

async fn fetch_active(tx: &mut PgConnection, scope: &TenantScope, connection: Uuid) -> Result<Uuid, Error> {
    sqlx::query_scalar(
        "select id from sync.jobs where tenant_id = $1 and connection_id = $2
         order by (status in ('queued', 'running', 'cancelling')) desc, id desc limit 1",
    )
    .bind(scope.tenant().as_str())
    .bind(connection)
    .fetch_one(tx)
    .await
    .map_err(cannot("fetch the active job"))
}

/// Fetches a job.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch(pool: &PgPool, scope: &TenantScope, id: Uuid) -> Result<Option<Job>, Error> {
    timed("sync_job_fetch", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!("select {JOB} from sync.jobs j where j.tenant_id = $1 and j.id = $2");
        let job = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("fetch a job"))?;
        tx.commit().await.map_err(cannot("fetch a job"))?;
        Ok(job)
    })
    .await
}

/// Lists jobs, newest first; `before` is the last one of the page before.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    pool: &PgPool,
    scope: &TenantScope,
    (status, connection): (Option<Status>, Option<Uuid>),
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Job>, Error> {
    timed("sync_job_list", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!(
            "select {JOB} from sync.jobs j
             where j.tenant_id = $1 and ($2::text is null or j.status = $2) and ($3::uuid is null or j.connection_id = $3)
               and ($4::uuid is null or j.id < $4)
             order by j.id desc limit $5"
        );
        let jobs = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(status.map(Status::as_str))
            .bind(connection)
            .bind(before)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(cannot("list jobs"))?;
        tx.commit().await.map_err(cannot("list jobs"))?;
        Ok(jobs)
    })
    .await
}

/// Asks for a job's end; one that waits has it at once, one that is over stays as it is.
///
/// # Errors
/// When the database does not answer.
pub async fn cancel(pool: &PgPool, scope: &TenantScope, id: Uuid, reason: Option<&str>) -> Result<Option<Job>, Error> {
    timed("sync_job_cancel", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let row = sqlx::query("select status from sync.jobs where tenant_id = $1 and id = $2 for update")
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("fetch a job's status"))?;
        let Some(row) = row else { return Ok(None) };
        let now = status(&row).map_err(|source| Error::Row {
            table: "sync.jobs",
            source,
        })?;
        if let Some(next) = now.after(Event::CancelAsked).filter(|next| *next != now) {
            sqlx::query(
                "update sync.jobs set status = $3, cancel_requested_at = clock_timestamp(), cancel_reason = $4,
                     finished_at = case when $5 then clock_timestamp() end, revision = revision + 1
                 where tenant_id = $1 and id = $2",
            )
            .bind(scope.tenant().as_str())
            .bind(id)
            .bind(next.as_str())
            .bind(reason)
            .bind(next.is_terminal())
            .execute(&mut *tx)
            .await
            .map_err(cannot("cancel a job"))?;
        }
        let select = format!("select {JOB} from sync.jobs j where j.tenant_id = $1 and j.id = $2");
        let job = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("fetch a job"))?;
        tx.commit().await.map_err(cannot("cancel a job"))?;
        Ok(job)
    })
    .await
}
