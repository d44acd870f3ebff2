//! Policies and their versions.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use aeterna_kit::db::timed;

use super::{Scoped, word};
use crate::engine::Active;
use crate::policy::{Document, Kind, Layer, Status};

/// A version of a policy.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The policy.
    pub id: Uuid,
    /// The version.
    pub version: i32,
    /// What it says.
    pub document: Document,
    /// The hash of what it says.
    pub content_hash: String,
    /// Who made the version.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("policy_id")?,
            version: row.try_get("version")?,
            document: row.try_get::<Json<_>, _>("document")?.0,
            content_hash: row.try_get("content_hash")?,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get::<jiff_sqlx::Timestamp, _>("created_at")?.to_jiff(),
        })
    }
}

/// Which policies, by name and id.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only of this layer.
    pub layer: Option<Layer>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only behind this name and id.
    pub after: Option<(String, Uuid)>,
    /// How many.
    pub limit: i64,
}

const COLUMNS: &str = "v.policy_id, v.version, v.document, v.content_hash, v.created_by, v.created_at";

/// Makes a policy, version 1; none when the name is taken in its place.
///
/// # Errors
/// Those of the database.
pub async fn create(tx: &mut Scoped, id: Uuid, document: &Document, by: &str) -> sqlx::Result<Option<Stored>> {
    let tenant = tx.tenant().to_owned();
    let made = sqlx::query(
        "insert into governance.policies (tenant_id, id, name, kind, layer, place, version, status, created_by)
         values ($1, $2, $3, $4, $5, $6, 0, 'draft', $7) on conflict (tenant_id, layer, place, name) do nothing",
    )
    .bind(&tenant)
    .bind(id)
    .bind(&document.name)
    .bind(word(&document.kind))
    .bind(word(&document.layer))
    .bind(crate::canonical::write(&serde_json::json!(document.scope)))
    .bind(by)
    .execute(tx.connection())
    .await?;
    if made.rows_affected() == 0 {
        return Ok(None);
    }
    add_version(tx, id, 1, document, by).await.map(Some)
}

/// Adds a version, which is in force from then on. The caller holds the policy's row; after this, until the transaction ends,
/// the tenant's set as well: its version rises last.
///
/// # Errors
/// Those of the database.
pub async fn add_version(
    tx: &mut Scoped,
    id: Uuid,
    version: i32,
    document: &Document,
    by: &str,
) -> sqlx::Result<Stored> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "with v as (insert into governance.policy_versions (tenant_id, policy_id, version, document, content_hash, created_by)
            values ($1, $2, $3, $4, $5, $6) returning *)
         select {COLUMNS} from v"
    );
    let stored = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(&tenant)
        .bind(id)
        .bind(version)
        .bind(Json(document))
        .bind(document.hash())
        .bind(by)
        .fetch_one(tx.connection())
        .await?;
    sqlx::query(
        "update governance.policies set version = $3, status = $4, updated_at = now() where tenant_id = $1 and id = $2",
    )
    .bind(&tenant)
    .bind(id)
    .bind(version)
    .bind(word(&document.status))
    .execute(tx.connection())
    .await?;
    sqlx::query(
        "insert into governance.policy_sets as s (tenant_id, version) values ($1, 1)
         on conflict (tenant_id) do update set version = s.version + 1",
    )
    .bind(&tenant)
    .execute(tx.connection())
    .await?;
    Ok(stored)
}

/// Locks a policy and returns its version in force.
///
/// # Errors
/// Those of the database.
pub async fn lock(tx: &mut Scoped, id: Uuid) -> sqlx::Result<Option<Stored>> {
    let tenant = tx.tenant().to_owned();
    let locked: Option<i32> =
        sqlx::query_scalar("select version from governance.policies where tenant_id = $1 and id = $2 for update")
            .bind(&tenant)
            .bind(id)
            .fetch_optional(tx.connection())
            .await?;
    match locked {
        Some(version) => fetch(tx, id, Some(version)).await,
        None => Ok(None),
    }
}

/// Fetches a version of a policy; without a number the one in force.
///
/// # Errors
/// Those of the database.
pub async fn fetch(tx: &mut Scoped, id: Uuid, version: Option<i32>) -> sqlx::Result<Option<Stored>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "select {COLUMNS} from governance.policies p
         join governance.policy_versions v on v.tenant_id = p.tenant_id and v.policy_id = p.id
         where p.tenant_id = $1 and p.id = $2 and v.version = coalesce($3, p.version)"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(id)
        .bind(version);
    timed("policy_fetch", query.fetch_optional(tx.connection())).await
}

/// Fetches all versions of a policy without what they say: number, hash, who, when; newest first.
///
/// # Errors
/// Those of the database.
pub async fn fetch_versions(
    tx: &mut Scoped,
    id: Uuid,
) -> sqlx::Result<Vec<(i32, String, String, jiff_sqlx::Timestamp)>> {
    let tenant = tx.tenant().to_owned();
    sqlx::query_as(
        "select version, content_hash, created_by, created_at from governance.policy_versions
         where tenant_id = $1 and policy_id = $2 order by version desc limit 100",
    )
    .bind(tenant)
    .bind(id)
    .fetch_all(tx.connection())
    .await
}

/// Fetches a page of policies, each in its version in force.
///
/// # Errors
/// Those of the database.
pub async fn fetch_page(tx: &mut Scoped, filter: &Filter) -> sqlx::Result<Vec<Stored>> {
    let tenant = tx.tenant().to_owned();
    let (name, id) = filter.after.clone().unzip();
    let query = format!(
        "select {COLUMNS} from governance.policies p
         join governance.policy_versions v on v.tenant_id = p.tenant_id and v.policy_id = p.id and v.version = p.version
         where p.tenant_id = $1 and ($2::text is null or p.kind = $2) and ($3::text is null or p.layer = $3)
           and ($4::text is null or p.status = $4) and ($5::text is null or (p.name, p.id) > ($5, $6))
         order by p.name, p.id limit $7"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(filter.kind.as_ref().map(word))
        .bind(filter.layer.as_ref().map(word))
        .bind(filter.status.as_ref().map(word))
        .bind(name)
        .bind(id)
        .bind(filter.limit);
    timed("policy_page", query.fetch_all(tx.connection())).await
}

/// Fetches the version of the tenant's set; 0 before its first policy.
///
/// # Errors
/// Those of the database.
pub async fn fetch_set_version(tx: &mut Scoped) -> sqlx::Result<i64> {
    let tenant = tx.tenant().to_owned();
    let version: Option<i64> = sqlx::query_scalar("select version from governance.policy_sets where tenant_id = $1")
        .bind(tenant)
        .fetch_optional(tx.connection())
        .await?;
    Ok(version.unwrap_or(0))
}

/// The set's version, and a policy of it unless it is empty.
type ActiveRow = (i64, Option<Uuid>, Option<i32>, Option<Json<Document>>);

/// Fetches all active policies with the set's version, which is that of exactly these.
///
/// # Errors
/// Those of the database.
pub async fn fetch_active(tx: &mut Scoped) -> sqlx::Result<(i64, Vec<Active>)> {
    let tenant = tx.tenant().to_owned();
    // One statement, one snapshot.
    let rows: Vec<ActiveRow> = sqlx::query_as(
        "select s.version, v.policy_id, v.version, v.document from governance.policy_sets s
         left join governance.policies p on p.tenant_id = s.tenant_id and p.status = 'active'
         left join governance.policy_versions v
            on v.tenant_id = p.tenant_id and v.policy_id = p.id and v.version = p.version
         where s.tenant_id = $1",
    )
    .bind(tenant)
    .fetch_all(tx.connection())
    .await?;
    let set = rows.first().map_or(0, |row| row.0);
    let active = |(_, id, version, document): ActiveRow| {
        Some(Active {
            id: id?,
            version: version?,
            document: document?.0,
        })
    };
    Ok((set, rows.into_iter().filter_map(active).collect()))
}

/// How much a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Size {
    /// Policies.
    pub policies: i64,
    /// Patterns of their rules: of each its value, and the places that it applies to.
    pub patterns: i64,
    /// Bytes as JSON.
    pub bytes: i64,
}

/// Measures the tenant's active policies other than one. They stay as they are for whoever holds the set, by [`add_version`].
///
/// # Errors
/// Those of the database.
pub async fn measure_active(tx: &mut Scoped, but: Uuid) -> sqlx::Result<Size> {
    let tenant = tx.tenant().to_owned();
    sqlx::query_as(
        "select count(*) as policies, coalesce(sum((select sum(1 + jsonb_array_length(coalesce(r -> 'appliesTo', '[]')))
                from jsonb_array_elements(coalesce(v.document -> 'rules', '[]')) r)), 0)::bigint as patterns,
            coalesce(sum(octet_length(v.document::text)), 0)::bigint as bytes
         from governance.policies p
         left join governance.policy_versions v on v.tenant_id = p.tenant_id and v.policy_id = p.id and v.version = p.version
         where p.tenant_id = $1 and p.status = 'active' and p.id <> $2",
    )
    .bind(tenant)
    .bind(but)
    .fetch_one(tx.connection())
    .await
}
