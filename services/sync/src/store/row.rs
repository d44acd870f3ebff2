//! A row as a job.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};

use crate::job::{Job, Mode, Options, Outcome, Status, failure};

/// The select list that [`Job`] reads; `j` is the alias of the row.
pub(super) const JOB: &str =
    "j.id, j.connection_id, j.status, j.mode, j.options, j.attempt, j.progress, j.error, j.digest,
    j.cancel_requested_at, j.cancel_reason, j.created_by, j.created_at, j.started_at, j.heartbeat_at, j.finished_at,
    j.revision";

impl FromRow<'_, PgRow> for Job {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            connection_id: row.try_get("connection_id")?,
            status: status(row)?,
            mode: mode(row)?,
            dry_run: json::<Options>(row, "options")?.dry_run,
            attempt: row.try_get("attempt")?,
            progress: json(row, "progress")?,
            error: row
                .try_get::<Option<Json<failure::Shown>>, _>("error")?
                .map(|Json(shown)| shown),
            result: row
                .try_get::<Option<String>, _>("digest")?
                .map(|digest| Outcome { digest }),
            cancel_requested_at: time(row, "cancel_requested_at")?,
            cancel_reason: row.try_get("cancel_reason")?,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get::<jiff_sqlx::Timestamp, _>("created_at")?.to_jiff(),
            started_at: time(row, "started_at")?,
            heartbeat_at: time(row, "heartbeat_at")?,
            finished_at: time(row, "finished_at")?,
            revision: row.try_get("revision")?,
        })
    }
}

pub(super) fn status(row: &PgRow) -> sqlx::Result<Status> {
    let name: &str = row.try_get("status")?;
    Status::parse(name).ok_or_else(|| unknown("status", name))
}

pub(super) fn mode(row: &PgRow) -> sqlx::Result<Mode> {
    match row.try_get("mode")? {
        "full" => Ok(Mode::Full),
        "incremental" => Ok(Mode::Incremental),
        other => Err(unknown("mode", other)),
    }
}

pub(super) fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> sqlx::Result<T> {
    row.try_get::<Json<T>, _>(column).map(|Json(value)| value)
}

pub(super) fn time(row: &PgRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row
        .try_get::<Option<jiff_sqlx::Timestamp>, _>(column)?
        .map(jiff_sqlx::Timestamp::to_jiff))
}

fn unknown(column: &str, value: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{value:?} is not known to this release").into(),
    }
}
