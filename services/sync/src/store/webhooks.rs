//! Webhooks: set, shown, and their deliveries taken once.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{system_tx, tenant_tx, timed};

use super::jobs::{self, NewJob, Over, Recorded};
use super::schedules::scope_of;
use super::{Error, cannot, connections, row};
use crate::job::{Limits, Mode, Options};

/// The webhook of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Whose jobs it starts.
    pub connection_id: Uuid,
    /// The name of the secret that deliveries are signed with.
    pub secret_ref: String,
    /// What each of its jobs may take.
    pub limits: Limits,
    /// A delivery waits for the end of the active job.
    pub pending: bool,
    /// When a delivery was last taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_delivery_at: Option<Timestamp>,
    /// The job that it last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_job_id: Option<Uuid>,
    /// Who set it.
    pub created_by: String,
}

const COLUMNS: &str = "connection_id, secret_ref, options, is_pending, last_delivery_at, last_job_id, created_by";

impl FromRow<'_, PgRow> for Webhook {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            connection_id: row.try_get("connection_id")?,
            secret_ref: row.try_get("secret_ref")?,
            limits: row::json::<Options>(row, "options")?.limits,
            pending: row.try_get("is_pending")?,
            last_delivery_at: row::time(row, "last_delivery_at")?,
            last_job_id: row.try_get("last_job_id")?,
            created_by: row.try_get("created_by")?,
        })
    }
}

/// What a webhook is set to.
#[derive(Debug, Clone, Copy)]
pub struct NewWebhook<'a> {
    /// The connection.
    pub connection: Uuid,
    /// The name of the secret that deliveries are signed with.
    pub secret_ref: &'a str,
    /// What its jobs are asked.
    pub options: &'a Options,
    /// Who sets it.
    pub created_by: &'a str,
    /// Their roles.
    pub roles: &'a [String],
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It started a job.
    Started(Uuid),
    /// The connection has an active job; another one follows it.
    Pending,
    /// It was taken before.
    Duplicate,
    /// The webhook is gone.
    Gone,
}

/// Sets the webhook of a connection; nothing when there is no such connection.
///
/// # Errors
/// When the database does not answer.
pub async fn put_webhook(pool: &PgPool, scope: &TenantScope, new: NewWebhook<'_>) -> Result<Option<Webhook>, Error> {
    timed("sync_webhook_put", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let put = format!(
            "insert into sync.webhooks (tenant_id, connection_id, secret_ref, options, created_by, roles)
             select $1, c.id, $3, $4, $5, $6 from sync.connections c where c.tenant_id = $1 and c.id = $2
             for key share
             on conflict (tenant_id, connection_id) do update
             set secret_ref = excluded.secret_ref, options = excluded.options, created_by = excluded.created_by, roles = excluded.roles
             returning {COLUMNS}"
        );
        let webhook = sqlx::query_as(sqlx::AssertSqlSafe(put))
            .bind(scope.tenant().as_str())
            .bind(new.connection)
            .bind(new.secret_ref)
            .bind(Json(new.options))
            .bind(new.created_by)
            .bind(new.roles)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("set a webhook"))?;
        tx.commit().await.map_err(cannot("set a webhook"))?;
        Ok(webhook)
    })
    .await
}

/// Fetches the webhook of a connection.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_webhook(pool: &PgPool, scope: &TenantScope, connection: Uuid) -> Result<Option<Webhook>, Error> {
    timed("sync_webhook_fetch", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!("select {COLUMNS} from sync.webhooks where tenant_id = $1 and connection_id = $2");
        let webhook = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(connection)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("fetch a webhook"))?;
        tx.commit().await.map_err(cannot("fetch a webhook"))?;
        Ok(webhook)
    })
    .await
}

/// Removes a webhook; tells whether there was one.
///
/// # Errors
/// When the database does not answer.
pub async fn delete_webhook(pool: &PgPool, scope: &TenantScope, connection: Uuid) -> Result<bool, Error> {
    timed("sync_webhook_delete", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let deleted = sqlx::query("delete from sync.webhooks where tenant_id = $1 and connection_id = $2")
            .bind(scope.tenant().as_str())
            .bind(connection)
            .execute(&mut *tx)
            .await
            .map_err(cannot("remove a webhook"))?;
        tx.commit().await.map_err(cannot("remove a webhook"))?;
        Ok(deleted.rows_affected() > 0)
    })
    .await
}

/// Takes a delivery: notes it and starts a job, both or neither. One that was taken before does nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn take_delivery(
    pool: &PgPool,
    scope: &TenantScope,
    connection: Uuid,
    delivery: &str,
) -> Result<Taken, Error> {
    timed("sync_delivery_take", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let tenant = scope.tenant().as_str();
        // Before the webhook, as whoever forgets the connection takes them.
        if !connections::hold(&mut tx, scope, connection).await? {
            return Ok(Taken::Gone);
        }
        // Deliveries of a connection come one after the other, and each finds the webhook as the one before left it.
        let webhook = sqlx::query("select 1 from sync.webhooks where tenant_id = $1 and connection_id = $2 for update")
            .bind(tenant)
            .bind(connection)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("hold a webhook"))?;
        if webhook.is_none() {
            return Ok(Taken::Gone);
        }
        // A sender repeats itself within days, not within weeks.
        sqlx::query(
            "delete from sync.deliveries
             where tenant_id = $1 and connection_id = $2 and received_at < now() - interval '14 days'",
        )
        .bind(tenant)
        .bind(connection)
        .execute(&mut *tx)
        .await
        .map_err(cannot("forget old deliveries"))?;
        let noted = sqlx::query(
            "insert into sync.deliveries (tenant_id, connection_id, delivery_id) values ($1, $2, $3)
             on conflict do nothing",
        )
        .bind(tenant)
        .bind(connection)
        .bind(delivery)
        .execute(&mut *tx)
        .await
        .map_err(cannot("note a delivery"))?;
        if noted.rows_affected() == 0 {
            return Ok(Taken::Duplicate);
        }
        sqlx::query(
            "update sync.webhooks set last_delivery_at = clock_timestamp() where tenant_id = $1 and connection_id = $2",
        )
        .bind(tenant)
        .bind(connection)
        .execute(&mut *tx)
        .await
        .map_err(cannot("note a delivery"))?;
        let taken = start(&mut tx, scope, connection).await?;
        tx.commit().await.map_err(cannot("take a delivery"))?;
        Ok(taken.map_or(Taken::Pending, Taken::Started))
    })
    .await
}

/// Starts the job of a webhook whose row is held; where another one is active, leaves the webhook pending.
async fn start(tx: &mut PgConnection, scope: &TenantScope, connection: Uuid) -> Result<Option<Uuid>, Error> {
    let tenant = scope.tenant().as_str();
    let (Json(options), created_by, roles): (Json<Options>, String, Vec<String>) = sqlx::query_as(
        "select options, created_by, roles from sync.webhooks where tenant_id = $1 and connection_id = $2",
    )
    .bind(tenant)
    .bind(connection)
    .fetch_one(&mut *tx)
    .await
    .map_err(cannot("fetch a webhook"))?;
    let new = NewJob {
        over: Over::Connection(connection),
        mode: Mode::Incremental,
        options: &options,
        key: None,
        created_by: &created_by,
        roles: &roles,
    };
    let job = match jobs::record(tx, scope, new).await? {
        Recorded::New(job) => Some(job.id),
        Recorded::Same(_) | Recorded::KeyTaken(_) | Recorded::Busy(_) | Recorded::NoConnection => None,
    };
    sqlx::query(
        "update sync.webhooks set is_pending = $3::uuid is null, last_job_id = coalesce($3, last_job_id)
         where tenant_id = $1 and connection_id = $2",
    )
    .bind(tenant)
    .bind(connection)
    .bind(job)
    .execute(tx)
    .await
    .map_err(cannot("note a webhook's job"))?;
    Ok(job)
}

/// Fetches webhooks of all tenants that wait, and whose connection has no active job any more.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_pending(pool: &PgPool, limit: i64) -> Result<Vec<(TenantScope, Uuid)>, Error> {
    timed("sync_webhooks_pending", async {
        let mut tx = system_tx(pool).await?;
        let rows = sqlx::query(
            "select w.tenant_id, w.connection_id from sync.webhooks w
             where w.is_pending and not exists (
                 select from sync.jobs j where j.tenant_id = w.tenant_id and j.connection_id = w.connection_id
                     and j.status in ('queued', 'running', 'cancelling'))
             order by w.tenant_id, w.connection_id limit $1",
        )
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(cannot("fetch pending webhooks"))?;
        tx.commit().await.map_err(cannot("fetch pending webhooks"))?;
        rows.iter()
            .map(|row| Ok((scope_of(row)?, row.try_get("connection_id")?)))
            .collect::<sqlx::Result<_>>()
            .map_err(|source| Error::Row {
                table: "sync.webhooks",
                source,
            })
    })
    .await
}

/// Starts the job of a webhook that waits; tells whether it did, for another instance may have been first.
///
/// # Errors
/// When the database does not answer.
pub async fn follow_up(pool: &PgPool, scope: &TenantScope, connection: Uuid) -> Result<bool, Error> {
    timed("sync_webhook_follow", async {
        let mut tx = tenant_tx(pool, scope).await?;
        if !connections::hold(&mut tx, scope, connection).await? {
            return Ok(false);
        }
        let held = sqlx::query(
            "select 1 from sync.webhooks where tenant_id = $1 and connection_id = $2 and is_pending for update",
        )
        .bind(scope.tenant().as_str())
        .bind(connection)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("hold a webhook"))?;
        if held.is_none() {
            return Ok(false);
        }
        let job = start(&mut tx, scope, connection).await?;
        tx.commit().await.map_err(cannot("follow a delivery up"))?;
        Ok(job.is_some())
    })
    .await
}
