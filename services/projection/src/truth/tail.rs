//! What a mover reads: pages of live rows by point, and the tail of changed rows by transaction.
//!
//! `changed_xid` is the transaction that wrote a row last. All transactions below a snapshot's xmin are over, so the rows
//! with `changed_xid >= W` read in one snapshot, and then `W := that snapshot's xmin`, miss nothing; rows may be seen
//! twice, which rule R1 makes harmless. Rows and xmin must come from one snapshot, or the xmin from an earlier one.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::moves::Xid;

use super::row::{COLUMNS, Row, fetch_rows};
use super::{Error, Result};

/// Changed rows and the watermark that holds once they are acknowledged.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The changed rows, tombstones too.
    pub rows: Vec<Row>,
    /// The xmin of the snapshot that they were read in.
    pub watermark: Xid,
}

/// A page of live rows.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The last point of the page before.
    pub after: Option<Uuid>,
    /// At most this many rows.
    pub limit: i64,
}

/// A range of point ids, `after < point_id <= upto`.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The last point of the range before.
    pub after: Option<Uuid>,
    /// The last point; no bound for `None`.
    pub upto: Option<Uuid>,
    /// At most this many rows.
    pub limit: i64,
}

/// Which rows a comparison leaves to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsettled {
    /// None.
    Nothing,
    /// Rows changed at or after this transaction.
    Since(Xid),
    /// Rows with an unconfirmed outbox row.
    Unconfirmed,
}

/// Returns the watermark to save before a copy's first page, and how many live rows there are.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn fetch_start(pool: &PgPool, scope: &TenantScope) -> Result<(Xid, i64)> {
    const OPERATION: &str = "begin a copy";
    let mut tx = open_snapshot(pool, scope, OPERATION).await?;
    let watermark = xmin(&mut tx).await?;
    let live = sqlx::query_scalar("select count(*) from memory.memories where tenant_id = $1 and state = 'live'")
        .bind(scope.tenant().as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    Ok((watermark, live))
}

/// Reads the next page of live rows, in the order of point ids, which is Qdrant's order too.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_page(pool: &PgPool, scope: &TenantScope, page: Page<'_>) -> Result<Vec<Row>> {
    const OPERATION: &str = "read a page of rows";
    let mut tx = aeterna_kit::db::tenant_tx(pool, scope)
        .await
        .map_err(Error::transaction(OPERATION))?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.point_id > $2 and m.state = 'live' order by m.point_id limit $3"
    )))
    .bind(page.tenant)
    .bind(page.after.unwrap_or(Uuid::nil()))
    .bind(page.limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(OPERATION))
}

/// Reads a range of rows, tombstones too, in the order of point ids.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_range(pool: &PgPool, scope: &TenantScope, range: Range) -> Result<Vec<Row>> {
    const OPERATION: &str = "read a range of rows";
    let mut tx = aeterna_kit::db::tenant_tx(pool, scope)
        .await
        .map_err(Error::transaction(OPERATION))?;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.point_id > $2 and m.point_id <= $3 order by m.point_id limit $4"
    )))
    .bind(scope.tenant().as_str())
    .bind(range.after.unwrap_or(Uuid::nil()))
    .bind(range.upto.unwrap_or(Uuid::max()))
    .bind(range.limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(Error::database(OPERATION))
}

/// Reads some rows again, and which of the points are unsettled.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_again(
    pool: &PgPool,
    scope: &TenantScope,
    points: &[Uuid],
    unsettled: Unsettled,
) -> Result<(Vec<Row>, Vec<Uuid>)> {
    const OPERATION: &str = "read differing rows again";
    let tenant = scope.tenant().as_str();
    let mut tx = aeterna_kit::db::tenant_tx(pool, scope)
        .await
        .map_err(Error::transaction(OPERATION))?;
    // The unsettled first: an outbox row that goes after this look was there in it.
    let query = match unsettled {
        Unsettled::Nothing => None,
        Unsettled::Since(xid) => Some(
            sqlx::query_scalar(
                "select point_id from memory.memories
                 where tenant_id = $1 and point_id = any($2) and changed_xid >= $3::text::xid8",
            )
            .bind(tenant)
            .bind(points)
            .bind(xid.0.to_string()),
        ),
        Unsettled::Unconfirmed => Some(
            sqlx::query_scalar("select point_id from memory.outbox where tenant_id = $1 and point_id = any($2)")
                .bind(tenant)
                .bind(points),
        ),
    };
    let newer = match query {
        Some(query) => query.fetch_all(&mut *tx).await.map_err(Error::database(OPERATION))?,
        None => Vec::new(),
    };
    let rows = fetch_rows(&mut tx, tenant, points).await?;
    Ok((rows, newer))
}

/// Rows of one page of the tail.
const TAIL_PAGE: i64 = 5_000;

/// Reads all rows changed at or after `since`, and the watermark that they allow, in one snapshot.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_delta(pool: &PgPool, scope: &TenantScope, since: Xid) -> Result<Delta> {
    let mut tx = open_snapshot(pool, scope, "read the tail").await?;
    let watermark = xmin(&mut tx).await?;
    let mut rows = Vec::new();
    // Behind every point of the transaction before `since`.
    let mut after = (Xid(since.0.saturating_sub(1).max(0)), Uuid::max());
    loop {
        let page = fetch_tail_page(&mut tx, scope, after).await?;
        let full = i64::try_from(page.len()).is_ok_and(|len| len == TAIL_PAGE);
        if let Some(last) = page.last() {
            after = (Xid(last.xid), last.row.point_id);
        }
        rows.extend(page.into_iter().map(|tail| tail.row));
        if !full {
            return Ok(Delta { rows, watermark });
        }
    }
}

#[derive(sqlx::FromRow)]
struct TailRow {
    #[sqlx(flatten)]
    row: Row,
    xid: i64,
}

/// Reads a page of the tail by (transaction, point): a bulk import gives all its rows one transaction.
async fn fetch_tail_page(
    tx: &mut PgConnection,
    scope: &TenantScope,
    (xid, point): (Xid, Uuid),
) -> Result<Vec<TailRow>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS}, m.changed_xid::text::bigint as xid from memory.memories m
         where m.tenant_id = $1 and (m.changed_xid, m.point_id) > ($2::text::xid8, $3)
         order by m.changed_xid, m.point_id limit $4"
    )))
    .bind(scope.tenant().as_str())
    .bind(xid.0.to_string())
    .bind(point)
    .bind(TAIL_PAGE)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read a page of the tail"))
}

/// Fetches the whole tail since `since` on the fence's own connection. It has no upper bound: under the closed fence
/// nobody writes, and an xmin bound would hide rows behind somebody else's old transaction.
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

/// Brings the planner's statistics up to date after a bulk load: before, a read by primary key takes another index and
/// filters the whole tenant (56 ms instead of 0.2). As the login role, which owns the table.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn analyze_if_grown(pool: &PgPool) -> Result<()> {
    const OPERATION: &str = "analyze the memories";
    // A tenth of the table, as autovacuum's own threshold, but now instead of within a minute.
    aeterna_kit::db::single("memory_analyze", pool, async |connection| {
        let grown: bool = sqlx::query_scalar(
            "select coalesce(bool_or(n_mod_since_analyze > 1000 + n_live_tup / 10), false)
             from pg_stat_user_tables where schemaname = 'memory' and relname = 'memories'",
        )
        .fetch_one(&mut *connection)
        .await?;
        if grown {
            sqlx::query("analyze memory.memories").execute(connection).await?;
        }
        Ok(())
    })
    .await
    .map_err(Error::database(OPERATION))
}

/// Opens a transaction whose statements all see one snapshot, in the tenant's scope.
async fn open_snapshot(
    pool: &PgPool,
    scope: &TenantScope,
    operation: &'static str,
) -> Result<Transaction<'static, Postgres>> {
    let mut tx = pool
        .begin_with("begin isolation level repeatable read read only")
        .await
        .map_err(Error::database(operation))?;
    sqlx::query("select set_config('role', 'aeterna_app', true), set_config('app.tenant_id', $1, true)")
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation))?;
    Ok(tx)
}

/// Reads the xmin of the transaction's snapshot: all transactions before it are over.
async fn xmin(tx: &mut PgConnection) -> Result<Xid> {
    sqlx::query_scalar("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        .fetch_one(tx)
        .await
        .map(Xid)
        .map_err(Error::database("read the snapshot's xmin"))
}
