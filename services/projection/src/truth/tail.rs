//! What a mover reads: pages of live rows by point, and the tail of changed rows by transaction.
//!
//! `changed_xid` is the transaction that wrote a row last. All transactions below a snapshot's xmin are over, so the rows
//! with `changed_xid >= W` read in one snapshot, and then `W := that snapshot's xmin`, miss nothing; rows may be seen
//! twice, which rule R1 makes harmless. Rows and xmin must come from one snapshot, or the xmin from an earlier one.

use sqlx::PgConnection;
use uuid::Uuid;

use aeterna_tenancy::moves::Xid;

use super::row::{COLUMNS, Row};
use super::{Error, Result};

/// Changed rows and the watermark that holds once they are acknowledged.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The changed rows, tombstones too.
    pub rows: Vec<Row>,
    /// The xmin of the snapshot that they were read in.
    pub watermark: Xid,
}

/// Fetches the next page of live rows behind `after`, in the order of point ids, which is Qdrant's order too.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_page(tx: &mut PgConnection, tenant: &str, after: Option<Uuid>, limit: i64) -> Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.point_id > $2 and m.state = 'live' order by m.point_id limit $3"
    )))
    .bind(tenant)
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read a page of rows"))
}

/// Fetches all rows, tombstones too, with `after < point_id <= upto`; no bound at all for `None`.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_rows_of(
    tx: &mut PgConnection,
    tenant: &str,
    after: Option<Uuid>,
    upto: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.point_id > $2 and m.point_id <= $3 order by m.point_id limit $4"
    )))
    .bind(tenant)
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(upto.unwrap_or(Uuid::max()))
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read a range of rows"))
}

/// Counts the tenant's live rows.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn count_live(tx: &mut PgConnection, tenant: &str) -> Result<i64> {
    sqlx::query_scalar("select count(*) from memory.memories where tenant_id = $1 and state = 'live'")
        .bind(tenant)
        .fetch_one(tx)
        .await
        .map_err(Error::database("count the live rows"))
}

/// Fetches one page of the tail in the transaction's snapshot: rows with `changed_xid >= since` behind `(xid, point)`.
///
/// Call it in one REPEATABLE READ transaction until a page is short, together with `fetch_xmin`; the pages then are of one
/// snapshot. Returns each row with its `changed_xid`.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_delta_page(
    tx: &mut PgConnection,
    tenant: &str,
    since: Xid,
    after: Option<(Xid, Uuid)>,
    limit: i64,
) -> Result<Vec<(Xid, Row)>> {
    let (after_xid, after_point) = after.unwrap_or((since, Uuid::nil()));
    let rows: Vec<TailRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS}, m.changed_xid::text::bigint as xid from memory.memories m
         where m.tenant_id = $1 and m.changed_xid >= $2::text::xid8 and (m.changed_xid, m.point_id) > ($2::text::xid8, $3)
         order by m.changed_xid, m.point_id limit $4"
    )))
    .bind(tenant)
    .bind(after_xid.0.to_string())
    .bind(after_point)
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read a page of the tail"))?;
    Ok(rows.into_iter().map(|TailRow { row, xid }| (Xid(xid), row)).collect())
}

#[derive(sqlx::FromRow)]
struct TailRow {
    #[sqlx(flatten)]
    row: Row,
    xid: i64,
}

/// Fetches the whole tail since `since` without an upper bound, for the last delta under the fence.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_changed_since(tx: &mut PgConnection, tenant: &str, since: Xid) -> Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m where m.tenant_id = $1 and m.changed_xid >= $2::text::xid8"
    )))
    .bind(tenant)
    .bind(since.0.to_string())
    .fetch_all(tx)
    .await
    .map_err(Error::database("read the last delta"))
}
