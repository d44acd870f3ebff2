//! A folder with all that is below it, as it was at one number of the tenant's head.
//!
//! A number is one state of the tenant's knowledge, and versions are kept: so an export of any length shows one state without
//! holding a transaction open while its reader is slow.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool, Row as _};

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, tenant_tx};

use super::{Error, reader, row};
use crate::access::Rights;
use crate::item::Snapshot;
use crate::path::FolderPath;

/// Bodies fetched at once: at most 25 MiB of them, mostly 100 kB.
const PAGE: i64 = 100;

/// An item to export.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Where it is.
    pub path: String,
    /// What it said.
    pub snapshot: Snapshot,
    /// Since when.
    pub changed: Timestamp,
}

impl FromRow<'_, PgRow> for Exported {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            path: row.try_get("path")?,
            snapshot: Snapshot {
                attributes: row.try_get::<Json<_>, _>("attributes")?.0,
                body: row.try_get("body")?,
            },
            changed: row::time(row, "created_at")?,
        })
    }
}

/// Returns the number that names the present state of the tenant's knowledge.
///
/// # Errors
/// When the database does not answer.
pub async fn head(pool: &PgPool, scope: &TenantScope) -> Result<i64, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query =
        sqlx::query_scalar("select changes from knowledge.heads where tenant_id = $1").bind(scope.tenant().as_str());
    let head: Option<i64> = db::timed("knowledge_head", query.fetch_optional(&mut *tx)).await?;
    tx.commit().await?;
    Ok(head.unwrap_or_default())
}

/// Returns the next items below a folder, by path, as they were at a number; none at the end.
///
/// # Errors
/// When the database does not answer.
pub async fn export(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    folder: &FolderPath,
    head: i64,
    after: &str,
) -> Result<Vec<Exported>, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query = sqlx::query_as(
        "select i.path, v.attributes, v.body, v.created_at
         from knowledge.items i
         cross join lateral (select * from knowledge.versions v
                             where v.tenant_id = i.tenant_id and v.item_id = i.item_id and v.change <= $5
                             order by v.version desc limit 1) v
         where i.tenant_id = $1 and i.path > $2 and i.path >= $3 and starts_with(i.path, $3) and v.action <> 'deleted'
           and ($3 = '' or i.path < left($3, -1) || '0')
           and (v.status <> 'draft' or $4::text is null or v.owner = $4)
         order by i.path limit $6",
    )
    .bind(scope.tenant().as_str())
    .bind(after)
    .bind(folder.prefix())
    .bind(reader(rights))
    .bind(head)
    .bind(PAGE);
    let found = db::timed("knowledge_export", query.fetch_all(&mut *tx)).await?;
    tx.commit().await?;
    Ok(found)
}
