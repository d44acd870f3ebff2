//! Rejects as their callers see them.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{tenant_tx, timed};

use super::{Error, cannot, row};
use crate::job::{Limits, Options};

/// An item that its source holds and its target has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reject {
    /// The reject.
    pub id: Uuid,
    /// The connection.
    pub connection_id: Uuid,
    /// The item's id in its source.
    pub external_id: String,
    /// What rejects are told apart by.
    pub code: String,
    /// Why it was not taken.
    pub message: String,
    /// The job that met it last.
    pub job_id: Uuid,
    /// How often it was not taken.
    pub times: i32,
    /// When it was not taken first.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// When it was not taken last.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
}

const COLUMNS: &str = "id, connection_id, external_id, code, message, job_id, times, first_at, last_at";

impl FromRow<'_, PgRow> for Reject {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column)
                .map(jiff_sqlx::Timestamp::to_jiff)
        };
        Ok(Self {
            id: row.try_get("id")?,
            connection_id: row.try_get("connection_id")?,
            external_id: row.try_get("external_id")?,
            code: row.try_get("code")?,
            message: row.try_get("message")?,
            job_id: row.try_get("job_id")?,
            times: row.try_get("times")?,
            first_at: time("first_at")?,
            last_at: time("last_at")?,
        })
    }
}

/// Fetches a reject.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch_reject(pool: &PgPool, scope: &TenantScope, id: Uuid) -> Result<Option<Reject>, Error> {
    timed("sync_reject_fetch", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!("select {COLUMNS} from sync.rejects where tenant_id = $1 and id = $2");
        let reject = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot("fetch a reject"))?;
        tx.commit().await.map_err(cannot("fetch a reject"))?;
        Ok(reject)
    })
    .await
}

/// Fetches the limits of the job that made a reject; where that is forgotten, those of the connection's last one.
///
/// # Errors
/// When the database does not answer, or the row is of a later release.
pub async fn fetch_limits(pool: &PgPool, scope: &TenantScope, reject: &Reject) -> Result<Limits, Error> {
    timed("sync_limits_fetch", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let found = sqlx::query(
            "select options from sync.jobs where tenant_id = $1 and connection_id = $2
             order by (id = $3) desc, id desc limit 1",
        )
        .bind(scope.tenant().as_str())
        .bind(reject.connection_id)
        .bind(reject.job_id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(cannot("fetch a job's limits"))?;
        tx.commit().await.map_err(cannot("fetch a job's limits"))?;
        let options = found.as_ref().map(|found| row::json::<Options>(found, "options"));
        let options = options.transpose().map_err(|source| Error::Row {
            table: "sync.jobs",
            source,
        })?;
        Ok(options.unwrap_or_default().limits)
    })
    .await
}

/// Lists rejects, newest first; `before` is the last one of the page before.
///
/// # Errors
/// When the database does not answer.
pub async fn list_rejects(
    pool: &PgPool,
    scope: &TenantScope,
    (connection, code): (Option<Uuid>, Option<&str>),
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Reject>, Error> {
    timed("sync_reject_list", async {
        let mut tx = tenant_tx(pool, scope).await?;
        let select = format!(
            "select {COLUMNS} from sync.rejects
             where tenant_id = $1 and ($2::uuid is null or connection_id = $2) and ($3::text is null or code = $3)
               and ($4::uuid is null or id < $4)
             order by id desc limit $5"
        );
        let rejects = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.tenant().as_str())
            .bind(connection)
            .bind(code)
            .bind(before)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(cannot("list rejects"))?;
        tx.commit().await.map_err(cannot("list rejects"))?;
        Ok(rejects)
    })
    .await
}
