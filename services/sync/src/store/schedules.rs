//! Schedules: set, shown, and fired once a time however many instances look.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{system_tx, tenant_tx, timed};
use aeterna_kit::ids::TenantId;

use super::jobs::{self, NewJob, Over, Recorded};
use super::{Error, cannot, connections, row};
use crate::job::{Limits, Mode, Options};
use crate::schedule::Following;

/// The schedule of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Whose jobs it starts.
    pub connection_id: Uuid,
    /// The cron expression.
    pub cron: String,
    /// The time zone that it is read in.
    pub timezone: String,
    /// How much its jobs look at.
    pub mode: Mode,
    /// What each of its jobs may take.
    pub limits: Limits,
    /// More than a fifth of the items may vanish.
    pub allow_mass_delete: bool,
    /// When the next job starts; absent while the schedule is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run_at: Option<Timestamp>,
    /// When it last came to its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_run_at: Option<Timestamp>,
    /// The job that it last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_job_id: Option<Uuid>,
    /// Times that passed without a job: nobody was there, or the connection had an active one.
    pub skipped: i64,
    /// Who set it.
    pub created_by: String,
}

/// What a schedule is set to.
#[derive(Debug, Clone, Copy)]
pub struct NewSchedule<'a> {
    /// The connection.
    pub connection: Uuid,
    /// The cron expression.
    pub cron: &'a str,
    /// The time zone.
    pub timezone: &'a str,
    /// How much its jobs look at.
    pub mode: Mode,
    /// What else its jobs are asked.
    pub options: &'a Options,
    /// The first time; none for a paused one.
    pub next_run_at: Option<Timestamp>,
    /// Who sets it.
    pub created_by: &'a str,
    /// Their roles.
    pub roles: &'a [String],
}

/// A schedule whose time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Whose it is.
    pub scope: TenantScope,
    /// The connection.
    pub connection: Uuid,
    /// The cron expression.
    pub cron: String,
    /// The time zone.
    pub timezone: String,
    /// The time that has come.
    pub next_run_at: Timestamp,
    /// Now, by the database's clock.
    pub now: Timestamp,
}

const COLUMNS: &str =
    "connection_id, cron, timezone, mode, options, next_run_at, last_run_at, last_job_id, skipped, created_by";

impl FromRow<'_, PgRow> for Schedule {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let options: Options = row::json(row, "options")?;
        Ok(Self {
            connection_id: row.try_get("connection_id")?,
            cron: row.try_get("cron")?,
            timezone: row.try_get("timezone")?,
            mode: row::mode(row)?,
            limits: options.limits,
            allow_mass_delete: options.allow_mass_delete,
            next_run_at: row::time(row, "next_run_at")?,
            last_run_at: row::time(row, "last_run_at")?,
            last_job_id: row.try_get("last_job_id")?,
            skipped: row.try_get("skipped")?,
            created_by: row.try_get("created_by")?,
        })
    }
}

/// Sets the schedule of a connection; nothing when there is no such connection.
///
/// # Errors
/// When the database does not answer.
pub async fn put_schedule(pool: &PgPool, scope: &TenantScope, new: NewSchedule<'_>) -> Result<Option<Schedule>, Error> {
    timed("sync_schedule_put", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let put = format!(
            "insert into sync.schedules (tenant_id, connection_id, cron, timezone, mode, options, next_run_at, created_by, roles)
             select $1, c.id, $3, $4, $5, $6, $7, $8, $9 from sync.connections c where c.tenant_id = $1 and c.id = $2
             for key share
             on conflict (tenant_id, connection_id) do update
             set cron = excluded.cron, timezone = excluded.timezone, mode = excluded.mode, options = excluded.options,
                 next_run_at = excluded.next_run_at, created_by = excluded.created_by, roles = excluded.roles,
                 updated_at = now()
             returning {COLUMNS}"
        );
        let schedule = sqlx::query_as(sqlx::AssertSqlSafe(put))
            .bind(scope.tenant().as_str())
            .bind(new.connection)
            .bind(new.cron)
            .bind(new.timezone)
            .bind(new.mode.as_str())
            .bind(Json(new.options))
            .bind(new.next_run_at.map(Timestamp::to_sqlx))
            .bind(new.created_by)
            .bind(new.roles)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("set a schedule"))?;
        tx.commit().await.map_err(cannot("set a schedule"))?;
        Ok(schedule)
    })
    .await
}

/// Lists schedules in the order of their connections; `after` is the last one of the page before.
///
/// # Errors
/// When the database does not answer.
pub async fn list_schedules(
    pool: &PgPool,
    scope: &TenantScope,
    only: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Schedule>, Error> {
    timed("sync_schedule_list", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!(
            "select {COLUMNS} from sync.schedules
             where tenant_id = $1 and ($2::uuid is null or connection_id = $2) and ($3::uuid is null or connection_id > $3)
             order by connection_id limit $4"
        );
        let schedules = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(only)
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(cannot("list schedules"))?;
        tx.commit().await.map_err(cannot("list schedules"))?;
        Ok(schedules)
    })
    .await
}

/// Removes a schedule; tells whether there was one.
///
/// # Errors
/// When the database does not answer.
pub async fn delete_schedule(pool: &PgPool, scope: &TenantScope, connection: Uuid) -> Result<bool, Error> {
    timed("sync_schedule_delete", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let deleted = sqlx::query("delete from sync.schedules where tenant_id = $1 and connection_id = $2")
            .bind(scope.tenant().as_str())
            .bind(connection)
            .execute(&mut *tx)
            .await
            .map_err(cannot("remove a schedule"))?;
        tx.commit().await.map_err(cannot("remove a schedule"))?;
        Ok(deleted.rows_affected() > 0)
    })
    .await
}

/// Fetches schedules of all tenants whose time has come, the longest waiting first.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_due(pool: &PgPool, limit: i64) -> Result<Vec<Due>, Error> {
    timed("sync_schedules_due", async {
        let mut tx = system_tx(pool).await?;
        let rows = sqlx::query(
            "select tenant_id, connection_id, cron, timezone, next_run_at, clock_timestamp() as now from sync.schedules
             where next_run_at <= clock_timestamp() order by next_run_at limit $1",
        )
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(cannot("fetch due schedules"))?;
        tx.commit().await.map_err(cannot("fetch due schedules"))?;
        let read = |row: &PgRow| {
            let time = |column| {
                row.try_get::<jiff_sqlx::Timestamp, _>(column)
                    .map(jiff_sqlx::Timestamp::to_jiff)
            };
            Ok(Due {
                scope: scope_of(row)?,
                connection: row.try_get("connection_id")?,
                cron: row.try_get("cron")?,
                timezone: row.try_get("timezone")?,
                next_run_at: time("next_run_at")?,
                now: time("now")?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|source| Error::Row {
                table: "sync.schedules",
                source,
            })
    })
    .await
}

/// Reads whose row it is, for a worker that looks across tenants.
pub(super) fn scope_of(row: &PgRow) -> sqlx::Result<TenantScope> {
    let tenant = TenantId::parse(row.try_get::<String, _>("tenant_id")?);
    tenant
        .map(TenantScope::for_worker)
        .map_err(|error| sqlx::Error::ColumnDecode {
            index: "tenant_id".to_owned(),
            source: Box::new(error),
        })
}

/// Moves a schedule on and starts its job, both or neither. Nothing happens when another instance was first; a connection
/// with an active job is skipped. Without a following time the schedule is paused.
///
/// # Errors
/// When the database does not answer.
pub async fn fire(pool: &PgPool, due: &Due, following: Option<Following>) -> Result<Option<Recorded>, Error> {
    let tenant = due.scope.tenant().as_str();
    let missed = following.map_or(0, |following| i64::try_from(following.missed).unwrap_or(i64::MAX));
    timed("sync_schedule_fire", async {
        let mut tx = tenant_tx(pool, &due.scope).await?;
        // Before the schedule, as whoever forgets the connection takes them.
        if !connections::hold(&mut tx, &due.scope, due.connection).await? {
            return Ok(None);
        }
        let moved = sqlx::query(
            "update sync.schedules set next_run_at = $4, last_run_at = clock_timestamp(), skipped = skipped + $5
             where tenant_id = $1 and connection_id = $2 and next_run_at = $3 returning mode, options, created_by, roles",
        )
        .bind(tenant)
        .bind(due.connection)
        .bind(due.next_run_at.to_sqlx())
        .bind(following.map(|following| following.next.to_sqlx()))
        .bind(missed)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("move a schedule on"))?;
        let Some(row) = moved else { return Ok(None) };
        let read = |row: &PgRow| {
            let (mode, options): (Mode, Options) = (row::mode(row)?, row::json(row, "options")?);
            let (by, roles): (String, Vec<String>) = (row.try_get("created_by")?, row.try_get("roles")?);
            Ok((mode, options, by, roles))
        };
        let (mode, options, created_by, roles) = read(&row).map_err(|source| Error::Row {
            table: "sync.schedules",
            source,
        })?;
        let new = NewJob {
            over: Over::Connection(due.connection),
            mode,
            options: &options,
            key: None,
            created_by: &created_by,
            roles: &roles,
        };
        let recorded = jobs::record(&mut tx, &due.scope, new).await?;
        let started = match &recorded {
            Recorded::New(job) => Some(job.id),
            Recorded::Same(_) | Recorded::KeyTaken(_) | Recorded::Busy(_) | Recorded::NoConnection => None,
        };
        sqlx::query(
            "update sync.schedules set last_job_id = coalesce($3, last_job_id),
                 skipped = skipped + case when $3::uuid is null then 1 else 0 end
             where tenant_id = $1 and connection_id = $2",
        )
        .bind(tenant)
        .bind(due.connection)
        .bind(started)
        .execute(&mut *tx)
        .await
        .map_err(cannot("note a schedule's job"))?;
        tx.commit().await.map_err(cannot("fire a schedule"))?;
        Ok(Some(recorded))
    })
    .await
}
