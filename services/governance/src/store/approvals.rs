//! Approval requests. Their votes are in [`votes`], what may be applied in [`outbox`].

pub mod outbox;
pub mod votes;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use aeterna_kit::db::timed;

pub use votes::Given;

use super::{Scoped, word};
use crate::approval::rules::Risk;
use crate::approval::{Change, Request, Revision, Status, Step};
use crate::engine::Scope;

/// A stored request.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Its number in the tenant: `REQ-2026-0001`.
    pub number: String,
    /// What it is about.
    pub request_type: String,
    /// The kind of thing, and which.
    pub target: (Option<String>, Option<String>),
    /// Where in the organisation.
    pub scope: Scope,
    /// Its title.
    pub title: String,
    /// For readers.
    pub description: Option<String>,
    /// What will be done, in its one spelling.
    pub payload: String,
    /// How much harm it can do.
    pub risk: Risk,
    /// Why.
    pub justification: Option<String>,
    /// It was approved without a quorum: why.
    pub broken_glass: Option<String>,
    /// Which application it was, and the subject that made it.
    pub application: Option<(Uuid, String)>,
    /// The hash of all that was asked, for retries.
    pub request_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was ended.
    pub resolved_at: Option<Timestamp>,
    /// What its fate depends on; without its votes, until they are fetched.
    pub core: Request,
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column)
                .map(jiff_sqlx::Timestamp::to_jiff)
        };
        Ok(Self {
            id: row.try_get("id")?,
            number: row.try_get("number")?,
            request_type: row.try_get("request_type")?,
            target: (row.try_get("target_type")?, row.try_get("target_id")?),
            scope: row.try_get::<Json<Scope>, _>("scope")?.0,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            payload: row.try_get("payload")?,
            risk: read(row.try_get("risk")?)?,
            justification: row.try_get("justification")?,
            broken_glass: row.try_get("broken_glass")?,
            application: row
                .try_get::<Option<Uuid>, _>("application_id")?
                .zip(row.try_get("applied_by")?),
            request_hash: row.try_get("request_hash")?,
            created_at: time("created_at")?,
            resolved_at: row
                .try_get::<Option<jiff_sqlx::Timestamp>, _>("resolved_at")?
                .map(jiff_sqlx::Timestamp::to_jiff),
            core: Request {
                status: read(row.try_get("status")?)?,
                requester: row.try_get("requester")?,
                requested_by: row.try_get("requested_by")?,
                steps: row.try_get::<Json<Vec<Step>>, _>("steps")?.0,
                votes: Vec::new(),
                payload: revision(row)?,
                expires_at: time("expires_at")?,
            },
        })
    }
}

fn revision(row: &PgRow) -> sqlx::Result<Revision> {
    Ok(Revision {
        number: row.try_get("revision")?,
        hash: row.try_get("payload_hash")?,
    })
}

/// How a request is named.
#[derive(Debug, Clone)]
pub enum Name {
    /// By its id.
    Id(Uuid),
    /// By its number.
    Number(String),
}

/// Which requests, newest first.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only with this status.
    pub status: Option<Status>,
    /// Only of this human.
    pub requester: Option<String>,
    /// Only before this time and id.
    pub before: Option<(Timestamp, Uuid)>,
    /// How many.
    pub limit: i64,
}

const COLUMNS: &str = "id, number, request_type, target_type, target_id, scope, title, description, payload, payload_hash,
    revision, risk, justification, requested_by, requester, steps, status, broken_glass, application_id, applied_by, request_hash, created_at,
    expires_at, resolved_at";

/// Returns the database's time: expiry is by one clock.
///
/// # Errors
/// Those of the database.
pub async fn fetch_now(tx: &mut Scoped) -> sqlx::Result<Timestamp> {
    let now: jiff_sqlx::Timestamp = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(tx.connection())
        .await?;
    Ok(now.to_jiff())
}

/// Takes the tenant's next number of a year.
///
/// # Errors
/// Those of the database.
pub async fn take_number(tx: &mut Scoped, year: i16) -> sqlx::Result<String> {
    let tenant = tx.tenant().to_owned();
    let last: i32 = sqlx::query_scalar(
        "insert into governance.approval_counters as c (tenant_id, year, last) values ($1, $2, 1)
         on conflict (tenant_id, year) do update set last = c.last + 1 returning last",
    )
    .bind(tenant)
    .bind(i32::from(year))
    .fetch_one(tx.connection())
    .await?;
    Ok(format!("REQ-{year}-{last:04}"))
}

/// Makes a request; none when the requester has used the idempotency key before.
///
/// # Errors
/// Those of the database.
pub async fn create(tx: &mut Scoped, new: &Stored, idempotency: Option<&str>) -> sqlx::Result<Option<Stored>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "insert into governance.approvals (tenant_id, id, number, request_type, target_type, target_id, title, description,
            payload, payload_hash, risk, justification, requested_by, requester, steps, status, idempotency, request_hash,
            created_at, expires_at, scope)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'pending', $16, $17, $18, $19, $20)
         on conflict (tenant_id, requested_by, idempotency) do nothing returning {COLUMNS}"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(new.id)
        .bind(&new.number)
        .bind(&new.request_type)
        .bind(&new.target.0)
        .bind(&new.target.1)
        .bind(&new.title)
        .bind(&new.description)
        .bind(&new.payload)
        .bind(&new.core.payload.hash)
        .bind(word(&new.risk))
        .bind(&new.justification)
        .bind(&new.core.requested_by)
        .bind(&new.core.requester)
        .bind(Json(&new.core.steps))
        .bind(idempotency)
        .bind(&new.request_hash)
        .bind(jiff_sqlx::Timestamp::from(new.created_at))
        .bind(jiff_sqlx::Timestamp::from(new.core.expires_at))
        .bind(Json(&new.scope))
        .fetch_optional(tx.connection())
        .await
}

/// Fetches what a requester has asked for under a key.
///
/// # Errors
/// Those of the database.
pub async fn fetch_by_key(tx: &mut Scoped, requested_by: &str, key: &str) -> sqlx::Result<Option<Stored>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "select {COLUMNS} from governance.approvals where tenant_id = $1 and requested_by = $2 and idempotency = $3"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(requested_by)
        .bind(key);
    query.fetch_optional(tx.connection()).await
}

/// Fetches a request with its votes.
///
/// # Errors
/// Those of the database.
pub async fn fetch(tx: &mut Scoped, name: &Name) -> sqlx::Result<Option<(Stored, Vec<Given>)>> {
    find(tx, name, "").await
}

/// The same, and holds the request until the transaction ends.
///
/// # Errors
/// Those of the database.
pub async fn lock(tx: &mut Scoped, name: &Name) -> sqlx::Result<Option<(Stored, Vec<Given>)>> {
    find(tx, name, "for update").await
}

async fn find(tx: &mut Scoped, name: &Name, how: &'static str) -> sqlx::Result<Option<(Stored, Vec<Given>)>> {
    let tenant = tx.tenant().to_owned();
    let (id, number) = match name {
        Name::Id(id) => (Some(*id), None),
        Name::Number(number) => (None, Some(number.clone())),
    };
    let query = format!(
        "select {COLUMNS} from governance.approvals
         where tenant_id = $1 and ($2::uuid is null or id = $2) and ($3::text is null or number = $3) {how}"
    );
    let query = sqlx::query_as::<_, Stored>(sqlx::AssertSqlSafe(query))
        .bind(&tenant)
        .bind(id)
        .bind(number);
    let Some(mut stored) = timed("approval_fetch", query.fetch_optional(tx.connection())).await? else {
        return Ok(None);
    };
    // After the lock: votes that were given meanwhile are among them.
    let given = votes::fetch(tx, stored.id).await?;
    stored.core.votes = given.iter().map(|given| given.vote.clone()).collect();
    Ok(Some((stored, given)))
}

/// Fetches a page of requests without their votes.
///
/// # Errors
/// Those of the database.
pub async fn fetch_page(tx: &mut Scoped, filter: &Filter) -> sqlx::Result<Vec<Stored>> {
    let tenant = tx.tenant().to_owned();
    let (at, id) = filter.before.unzip();
    let query = format!(
        "select {COLUMNS} from governance.approvals
         where tenant_id = $1 and ($2::text is null or status = $2) and ($3::text is null or requester = $3)
           and ($4::timestamptz is null or (created_at, id) < ($4, $5))
         order by created_at desc, id desc limit $6"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(filter.status.as_ref().map(word))
        .bind(&filter.requester)
        .bind(at.map(jiff_sqlx::Timestamp::from))
        .bind(id)
        .bind(filter.limit);
    timed("approval_page", query.fetch_all(tx.connection())).await
}

/// Stores what has followed for a locked request, but for its vote. What is approved goes to the outbox.
///
/// # Errors
/// Those of the database.
pub async fn follow(tx: &mut Scoped, id: Uuid, change: &Change, payload: Option<&str>) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    sqlx::query(
        "update governance.approvals set status = $3, payload = coalesce($4, payload),
            payload_hash = coalesce($5, payload_hash), revision = coalesce($6, revision),
            resolved_at = case when $3 = 'pending' then null else coalesce(resolved_at, clock_timestamp()) end
         where tenant_id = $1 and id = $2",
    )
    .bind(&tenant)
    .bind(id)
    .bind(word(&change.status))
    .bind(payload)
    .bind(change.payload.as_ref().map(|payload| &payload.hash))
    .bind(change.payload.as_ref().map(|payload| payload.number))
    .execute(tx.connection())
    .await?;
    if change.status == Status::Approved {
        outbox::put(tx, id).await?;
    }
    Ok(())
}

/// Marks a request as approved without a quorum, and keeps why.
///
/// # Errors
/// Those of the database.
pub async fn mark_broken_glass(tx: &mut Scoped, id: Uuid, why: &str) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    sqlx::query("update governance.approvals set broken_glass = $3 where tenant_id = $1 and id = $2")
        .bind(tenant)
        .bind(id)
        .bind(why)
        .execute(tx.connection())
        .await
        .map(|_| ())
}

/// A request whose time is over: since when, whose, which.
pub type Over = (jiff_sqlx::Timestamp, String, Uuid);

/// Fetches pending requests whose time is over, of all tenants, in the order of that time and behind one. For the worker.
///
/// # Errors
/// Those of the database.
pub async fn fetch_expired(pool: &PgPool, after: Option<Over>, limit: i64) -> sqlx::Result<Vec<Over>> {
    let mut tx = super::system(pool).await?;
    let (since, tenant, id) = after.map_or((None, None, None), |(since, tenant, id)| {
        (Some(since), Some(tenant), Some(id))
    });
    sqlx::query_as(
        "select expires_at, tenant_id, id from governance.approvals
         where status = 'pending' and expires_at <= clock_timestamp()
           and ($1::timestamptz is null or (expires_at, tenant_id, id) > ($1, $2, $3))
         order by expires_at, tenant_id, id limit $4",
    )
    .bind(since)
    .bind(tenant)
    .bind(id)
    .bind(limit)
    .fetch_all(&mut *tx)
    .await
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> sqlx::Result<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| sqlx::Error::Decode(error.into()))
}
