//! Requests to compare a tenant's live projection with the truth, and their results.

use std::time::Duration;

use sqlx::{FromRow, PgPool};

use aeterna_kit::ids::TenantId;

use crate::ids::Term;
use crate::{Error, Result, leader};

/// What a comparison found. Counted in points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Findings {
    /// Live rows and points compared.
    pub compared: i64,
    /// Live rows without a point.
    pub missing: i64,
    /// Points of an older version, or with other content or vector than the row.
    pub stale: i64,
    /// Points that have no live row.
    pub orphaned: i64,
    /// Points that carry the identity of another tenant's row.
    pub foreign: i64,
    /// Differences repaired.
    pub repaired: i64,
}

/// A request and, when it is finished, its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Who asked, by a name of their choice.
    pub request_id: String,
    /// When it was finished.
    pub finished_at: Option<jiff::Timestamp>,
    /// What was found; none before it is finished or when it failed.
    pub findings: Option<Findings>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Requests a comparison; the same request again changes nothing.
///
/// # Errors
/// [`Error::TermOver`] for an old leader.
pub async fn request(pool: &PgPool, term: Term, tenant: &TenantId, request_id: &str) -> Result<()> {
    let operation = || format!("request a verification of {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    leader::check_term(&mut tx, term).await?;
    sqlx::query("insert into routing.verifications (tenant_id, request_id) values ($1, $2) on conflict do nothing")
        .bind(tenant.as_str())
        .bind(request_id)
        .execute(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}

/// Claims a request that nobody works on; returns the tenant and the request's name.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn claim(pool: &PgPool, lease: Duration) -> Result<Option<(String, String)>> {
    let operation = || "claim a verification".to_owned();
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let claimed = sqlx::query_as(
        "update routing.verifications v set lease_until = now() + make_interval(secs => $1)
         where (v.tenant_id, v.request_id) = (
             select c.tenant_id, c.request_id from routing.verifications c
             where c.finished_at is null and c.lease_until < now()
             order by c.requested_at limit 1 for update skip locked)
         returning v.tenant_id, v.request_id",
    )
    .bind(lease.as_secs_f64())
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))?;
    Ok(claimed)
}

/// Keeps a claimed request from others for `lease` more.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn renew(pool: &PgPool, tenant: &str, request_id: &str, lease: Duration) -> Result<()> {
    let operation = || format!("go on with the verification of {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query(
        "update routing.verifications set lease_until = now() + make_interval(secs => $3)
         where tenant_id = $1 and request_id = $2 and finished_at is null",
    )
    .bind(tenant)
    .bind(request_id)
    .bind(lease.as_secs_f64())
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}

/// Records the result of a request.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn finish(
    pool: &PgPool,
    tenant: &str,
    request_id: &str,
    result: std::result::Result<Findings, String>,
) -> Result<()> {
    let operation = || format!("record the verification of {tenant}");
    let (found, error) = match result {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(error)),
    };
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    sqlx::query(
        "update routing.verifications set finished_at = now(), compared = $3, missing = $4, stale = $5, orphaned = $6,
             \"foreign\" = $7, repaired = $8, error = $9
         where tenant_id = $1 and request_id = $2 and finished_at is null",
    )
    .bind(tenant)
    .bind(request_id)
    .bind(found.map(|f| f.compared))
    .bind(found.map(|f| f.missing))
    .bind(found.map(|f| f.stale))
    .bind(found.map(|f| f.orphaned))
    .bind(found.map(|f| f.foreign))
    .bind(found.map(|f| f.repaired))
    .bind(error)
    .execute(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    tx.commit().await.map_err(Error::database(operation()))
}

/// Fetches a request.
///
/// # Errors
/// [`Error::Database`] when the database does not answer.
pub async fn fetch(pool: &PgPool, tenant: &TenantId, request_id: &str) -> Result<Option<Verification>> {
    let operation = || format!("read the verification of {tenant}");
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction(operation()))?;
    let found: Option<(Option<jiff_sqlx::Timestamp>, Option<i64>, Option<String>)> = sqlx::query_as(
        "select finished_at, compared, error from routing.verifications where tenant_id = $1 and request_id = $2",
    )
    .bind(tenant.as_str())
    .bind(request_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(Error::database(operation()))?;
    let Some((finished_at, compared, error)) = found else {
        return Ok(None);
    };
    let findings = if compared.is_some() {
        let findings = sqlx::query_as(
            "select compared, missing, stale, orphaned, \"foreign\", repaired from routing.verifications
             where tenant_id = $1 and request_id = $2",
        )
        .bind(tenant.as_str())
        .bind(request_id)
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(operation()))?;
        Some(findings)
    } else {
        None
    };
    Ok(Some(Verification {
        request_id: request_id.to_owned(),
        finished_at: finished_at.map(jiff_sqlx::Timestamp::to_jiff),
        findings,
        error,
    }))
}
