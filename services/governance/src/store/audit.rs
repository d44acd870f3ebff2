//! The audit chain's rows.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, QueryBuilder, Row as _};

use aeterna_kit::db::timed;

use super::Scoped;
use crate::audit::chain::{self, Link};
use crate::audit::{Event, Place};

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 for none.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Equal to these columns: a column's name and the value.
    pub equal: Vec<(&'static str, String)>,
    /// Not before, in the spelling of the column `at`.
    pub since: Option<String>,
    /// Before.
    pub until: Option<String>,
    /// Only numbers below.
    pub before: Option<i64>,
    /// How many.
    pub limit: i64,
}

/// Appends an event to the tenant's chain, in the transaction of what it tells of. Whoever appends holds the chain until
/// the transaction ends: append last. Returns the event's number.
///
/// # Errors
/// Those of the database.
pub async fn append(tx: &mut Scoped, event: &Event) -> sqlx::Result<i64> {
    timed("audit_append", async {
        let tenant = tx.tenant().to_owned();
        let (seq, prev_hash, at): (i64, Vec<u8>, jiff_sqlx::Timestamp) =
            sqlx::query_as("select head_seq + 1, head_hash, locked_at from governance.lock_audit_head($1)")
                .bind(&tenant)
                .fetch_one(tx.connection())
                .await?;
        let canonical = event.spell(Place {
            tenant: &tenant,
            seq,
            prev_hash: &prev_hash,
            at: at.to_jiff(),
        });
        let hash = chain::hash(&canonical);
        sqlx::query(
            "insert into governance.audit_events (tenant_id, seq, canonical, prev_hash, hash) values ($1, $2, $3, $4, $5)",
        )
        .bind(&tenant)
        .bind(seq)
        .bind(&canonical)
        .bind(&prev_hash)
        .bind(hash.as_slice())
        .execute(tx.connection())
        .await?;
        sqlx::query("update governance.audit_heads set seq = $2, hash = $3 where tenant_id = $1")
            .bind(&tenant)
            .bind(seq)
            .bind(hash.as_slice())
            .execute(tx.connection())
            .await?;
        Ok(seq)
    })
    .await
}

/// Fetches where the tenant's chain ends.
///
/// # Errors
/// Those of the database.
pub async fn fetch_head(tx: &mut Scoped) -> sqlx::Result<Head> {
    let tenant = tx.tenant().to_owned();
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select seq, hash from governance.audit_heads where tenant_id = $1")
            .bind(tenant)
            .fetch_optional(tx.connection())
            .await?;
    let (seq, hash) = head.unwrap_or_else(|| (0, chain::GENESIS.to_vec()));
    Ok(Head { seq, hash })
}

impl FromRow<'_, PgRow> for Link {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            seq: row.try_get("seq")?,
            canonical: row.try_get("canonical")?,
            prev_hash: row.try_get("prev_hash")?,
            hash: row.try_get("hash")?,
        })
    }
}

/// Fetches the next events after a number and up to another, in order.
///
/// # Errors
/// Those of the database.
pub async fn fetch_links(tx: &mut Scoped, after: i64, up_to: i64, limit: i64) -> sqlx::Result<Vec<Link>> {
    let tenant = tx.tenant().to_owned();
    sqlx::query_as(
        "select seq, canonical, prev_hash, hash from governance.audit_events
         where tenant_id = $1 and seq > $2 and seq <= $3 order by seq limit $4",
    )
    .bind(tenant)
    .bind(after)
    .bind(up_to)
    .bind(limit)
    .fetch_all(tx.connection())
    .await
}

/// Fetches a page of events, newest first.
///
/// # Errors
/// Those of the database.
pub async fn fetch_page(tx: &mut Scoped, filter: &Filter) -> sqlx::Result<Vec<Link>> {
    let mut query =
        QueryBuilder::new("select seq, canonical, prev_hash, hash from governance.audit_events where tenant_id = ");
    query.push_bind(tx.tenant().to_owned());
    for (column, value) in &filter.equal {
        // The column's name is a constant of ours.
        query.push(format_args!(" and {column} = ")).push_bind(value.clone());
    }
    if let Some(since) = &filter.since {
        query.push(" and at >= ").push_bind(since.clone());
    }
    if let Some(until) = &filter.until {
        query.push(" and at < ").push_bind(until.clone());
    }
    if let Some(before) = filter.before {
        query.push(" and seq < ").push_bind(before);
    }
    query.push(" order by seq desc limit ").push_bind(filter.limit);
    timed("audit_page", query.build_query_as().fetch_all(tx.connection())).await
}

/// Fetches where all chains end, with their tenants. For the checkpoint writer.
///
/// # Errors
/// Those of the database.
pub async fn fetch_heads(pool: &PgPool) -> sqlx::Result<Vec<(String, Head)>> {
    let mut tx = super::system(pool).await?;
    let heads: Vec<(String, i64, Vec<u8>)> = sqlx::query_as("select tenant_id, seq, hash from governance.audit_heads")
        .fetch_all(&mut *tx)
        .await?;
    Ok(heads
        .into_iter()
        .map(|(tenant, seq, hash)| (tenant, Head { seq, hash }))
        .collect())
}
