//! The votes of approval requests. They are only added to.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::{read, revision};
use crate::approval::{Verdict, Vote};
use crate::store::{Scoped, word};

/// A vote as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub vote: Vote,
    /// Why.
    pub comment: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

impl FromRow<'_, PgRow> for Given {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            vote: Vote {
                by: row.try_get("approver")?,
                step: usize::try_from(row.try_get::<i32, _>("step")?).unwrap_or(usize::MAX),
                verdict: read::<Verdict>(row.try_get("verdict")?)?,
                payload: revision(row)?,
            },
            comment: row.try_get("comment")?,
            created_at: row.try_get::<jiff_sqlx::Timestamp, _>("created_at")?.to_jiff(),
        })
    }
}

/// Fetches the votes of a request, in order.
///
/// # Errors
/// Those of the database.
pub async fn fetch(tx: &mut Scoped, approval: Uuid) -> sqlx::Result<Vec<Given>> {
    let tenant = tx.tenant().to_owned();
    sqlx::query_as(
        "select id, approver, step, verdict, comment, payload_hash, revision, created_at from governance.approval_votes
         where tenant_id = $1 and approval_id = $2 order by created_at, id",
    )
    .bind(tenant)
    .bind(approval)
    .fetch_all(tx.connection())
    .await
}

/// Stores a vote.
///
/// # Errors
/// Those of the database.
pub async fn add(tx: &mut Scoped, approval: Uuid, id: Uuid, vote: &Vote, comment: Option<&str>) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    sqlx::query(
        "insert into governance.approval_votes
            (tenant_id, approval_id, id, approver, step, verdict, comment, payload_hash, revision, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())",
    )
    .bind(tenant)
    .bind(approval)
    .bind(id)
    .bind(&vote.by)
    .bind(i32::try_from(vote.step).unwrap_or(i32::MAX))
    .bind(word(&vote.verdict))
    .bind(comment)
    .bind(&vote.payload.hash)
    .bind(vote.payload.number)
    .execute(tx.connection())
    .await
    .map(|_| ())
}
