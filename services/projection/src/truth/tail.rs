//! What a mover reads: pages of live rows by point, and the tail of changed rows by transaction.
//!
//! `changed_xid` is the transaction that wrote a row last. The watermark W of a move is a snapshot, all of whose changes
//! are in the target: so the rows whose `changed_xid` W does not see, read in one snapshot, and then `W := that snapshot`,
//! miss nothing and repeat nothing. Rows and snapshot must come from one transaction, or the snapshot from an earlier one.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_tenancy::moves::Snapshot;

use super::row::{COLUMNS, Row, fetch_rows};
use super::{Error, Result};

/// Changed rows and the watermark that holds once they are acknowledged.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The changed rows, tombstones too.
    pub rows: Vec<Row>,
    /// The snapshot that they were read in.
    pub watermark: Snapshot,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    /// None.
    Nothing,
    /// Rows whose last change this snapshot does not see.
    Since(Snapshot),
    /// Rows with an unconfirmed outbox row.
    Unconfirmed,
}

/// Returns the watermark to save before a copy's first page, and how many live rows there are.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn fetch_start(pool: &PgPool, scope: &TenantScope) -> Result<(Snapshot, i64)> {
    const OPERATION: &str = "begin a copy";
    let mut tx = open_snapshot(pool, scope, OPERATION).await?;
    let watermark = current(&mut tx).await?;
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

/// Reads some rows, and which of the points are unsettled.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_points(
    pool: &PgPool,
    scope: &TenantScope,
    points: &[Uuid],
    unsettled: &Unsettled,
) -> Result<(Vec<Row>, Vec<Uuid>)> {
    const OPERATION: &str = "read differing rows again";
    let tenant = scope.tenant().as_str();
    let mut tx = aeterna_kit::db::tenant_tx(pool, scope)
        .await
        .map_err(Error::transaction(OPERATION))?;
    // The rows first: a change that comes between the two looks leaves its outbox row to the second.
    let rows = fetch_rows(&mut tx, tenant, points).await?;
    let query = match unsettled {
        Unsettled::Nothing => return Ok((rows, Vec::new())),
        Unsettled::Since(snapshot) => sqlx::query_scalar(
            "select point_id from memory.memories where tenant_id = $1 and point_id = any($2)
               and not pg_visible_in_snapshot(changed_xid, $3::text::pg_snapshot)",
        )
        .bind(tenant)
        .bind(points)
        .bind(&snapshot.0),
        Unsettled::Unconfirmed => {
            sqlx::query_scalar("select point_id from memory.outbox where tenant_id = $1 and point_id = any($2)")
                .bind(tenant)
                .bind(points)
        }
    };
    let newer = query.fetch_all(&mut *tx).await.map_err(Error::database(OPERATION))?;
    Ok((rows, newer))
}

/// Rows of one page of the tail.
const TAIL_PAGE: i64 = 5_000;

/// Reads all rows whose last change `since` does not see, and the snapshot that they were read in.
///
/// # Errors
/// [`Error::Database`] or [`Error::Transaction`] when the database does not answer.
pub async fn read_delta(pool: &PgPool, scope: &TenantScope, since: &Snapshot) -> Result<Delta> {
    let mut tx = open_snapshot(pool, scope, "read the tail").await?;
    let watermark = current(&mut tx).await?;
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = fetch_tail_page(&mut tx, scope, since, after).await?;
        let full = i64::try_from(page.len()).is_ok_and(|len| len == TAIL_PAGE);
        if let Some(last) = page.last() {
            after = Some((last.xid, last.row.point_id));
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
    since: &Snapshot,
    after: Option<(i64, Uuid)>,
) -> Result<Vec<TailRow>> {
    let (xid, point) = after.unzip();
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS}, m.changed_xid::text::bigint as xid from memory.memories m
         where m.tenant_id = $1 and m.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot)
           and not pg_visible_in_snapshot(m.changed_xid, $2::text::pg_snapshot)
           and ($3::text is null or (m.changed_xid, m.point_id) > ($3::text::xid8, $4))
         order by m.changed_xid, m.point_id limit $5"
    )))
    .bind(scope.tenant().as_str())
    .bind(&since.0)
    .bind(xid.map(|xid| xid.to_string()))
    .bind(point)
    .bind(TAIL_PAGE)
    .fetch_all(tx)
    .await
    .map_err(Error::database("read a page of the tail"))
}

/// Fetches the whole tail since `since` on the fence's own connection. It has no upper bound: under the closed fence
/// nobody writes, so what is committed is all there is. Both halves are ranges of the index: somebody else's old
/// transaction, which holds xmin back, makes neither of them longer.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch_changed_since(tx: &mut PgConnection, tenant: &str, since: &Snapshot) -> Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.changed_xid >= pg_snapshot_xmax($2::text::pg_snapshot)
         union all
         select {COLUMNS} from memory.memories m
         where m.tenant_id = $1 and m.changed_xid = any(array(select pg_snapshot_xip($2::text::pg_snapshot)))"
    )))
    .bind(tenant)
    .bind(&since.0)
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

/// Reads the transaction's snapshot.
async fn current(tx: &mut PgConnection) -> Result<Snapshot> {
    sqlx::query_scalar("select pg_current_snapshot()::text")
        .fetch_one(tx)
        .await
        .map(Snapshot)
        .map_err(Error::database("read the snapshot"))
}
