//! Who holds which role.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::single;
use aeterna_policy::snapshot::{Assigned, holder};

use super::Scoped;
use crate::rbac::Role;
use crate::rbac::holding::{Holding, Source};

/// A remembered role with its history.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Who.
    pub principal: String,
    /// What is held, or was.
    pub holding: Holding,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// It is known from a token, and not from one of today.
    pub is_fading: bool,
}

impl FromRow<'_, PgRow> for Assignment {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let role: &str = row.try_get("role")?;
        Ok(Self {
            principal: row.try_get("principal")?,
            holding: Holding {
                // The table's check constraint allows no other.
                role: Role::parse(role).unwrap_or(Role::Viewer),
                source: match row.try_get::<&str, _>("source")? {
                    "grant" => Source::Grant,
                    _ => Source::Token,
                },
                revoked: row.try_get::<&str, _>("state")? == "revoked",
            },
            changed_by: row.try_get("changed_by")?,
            changed_at: row.try_get::<jiff_sqlx::Timestamp, _>("changed_at")?.to_jiff(),
            is_fading: row.try_get("fading")?,
        })
    }
}

/// Columns of the view of what counts.
const COLUMNS: &str = "principal, role, source, state, changed_by, changed_at, fading";

/// What is remembered of principals, and by which version of the tenant's set of policies to decide.
#[derive(Debug)]
pub struct Standing {
    /// The set's version; 0 before its first policy.
    pub version: i64,
    /// What is remembered.
    pub known: Vec<Assignment>,
}

impl Standing {
    /// Fetches it, outside of a transaction: one statement, one moment.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch(pool: &PgPool, scope: &TenantScope, principals: &[&str]) -> sqlx::Result<Self> {
        let query = sqlx::query("select * from governance.standing($1, $2)")
            .bind(scope.tenant().as_str())
            .bind(principals);
        let rows = single("governance_standing", pool, async |connection| {
            query.fetch_all(connection).await
        })
        .await?;
        // No row at all would be an answer to another question: not that nothing is taken away from anybody.
        let version = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get("version")?;
        let mut known = Vec::new();
        for row in &rows {
            if row.try_get::<Option<&str>, _>("principal")?.is_some() {
                known.push(Assignment::from_row(row)?);
            }
        }
        Ok(Self { version, known })
    }

    /// Returns what is remembered of one of them.
    pub fn of<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a Assignment> {
        self.known.iter().filter(move |known| known.principal == principal)
    }
}

/// Fetches what is remembered of principals.
///
/// # Errors
/// Those of the database.
pub async fn fetch(tx: &mut Scoped, principals: &[String]) -> sqlx::Result<Vec<Assignment>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "select {COLUMNS} from governance.remembered where tenant_id = $1 and principal = any($2) order by principal, role"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(tenant).bind(principals);
    query.fetch_all(tx.connection()).await
}

/// Holds what is remembered of principals until the transaction ends: nobody changes it meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn hold(tx: &mut Scoped, principals: &[String]) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    sqlx::query("select from governance.role_assignments where tenant_id = $1 and principal = any($2) order by principal, role for share")
        .bind(tenant)
        .bind(principals)
        .execute(tx.connection())
        .await
        .map(|_| ())
}

/// Fetches a page of all that is remembered, by principal and role.
///
/// # Errors
/// Those of the database.
pub async fn fetch_page(tx: &mut Scoped, after: Option<(String, String)>, limit: i64) -> sqlx::Result<Vec<Assignment>> {
    let tenant = tx.tenant().to_owned();
    let (principal, role) = after.unzip();
    let query = format!(
        "select {COLUMNS} from governance.remembered
         where tenant_id = $1 and ($2::text is null or (principal, role) > ($2, $3)) order by principal, role limit $4"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(tenant)
        .bind(principal)
        .bind(role)
        .bind(limit);
    query.fetch_all(tx.connection()).await
}

/// Fetches who holds any of the roles now.
///
/// # Errors
/// Those of the database.
pub async fn fetch_holders(tx: &mut Scoped, roles: &[&'static str]) -> sqlx::Result<Vec<Assignment>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "select {COLUMNS} from governance.remembered
         where tenant_id = $1 and state = 'active' and role = any($2) order by principal limit 10000"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(tenant).bind(roles);
    query.fetch_all(tx.connection()).await
}

/// Fetches the roles that were given or taken away here, at most 100,000; those taken away first.
///
/// # Errors
/// Those of the database.
pub async fn fetch_assigned(tx: &mut Scoped) -> sqlx::Result<Vec<Assigned>> {
    let tenant = tx.tenant().to_owned();
    let query = format!(
        "select {COLUMNS} from governance.remembered where tenant_id = $1 and source = 'grant'
         order by state desc, principal, role limit 100000"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(&tenant);
    let found: Vec<Assignment> = query.fetch_all(tx.connection()).await?;
    let assigned = |assignment: Assignment| Assigned {
        holder: holder(&tenant, &assignment.principal),
        role: assignment.holding.role,
        revoked: assignment.holding.revoked,
    };
    let mut assigned: Vec<Assigned> = found.into_iter().map(assigned).collect();
    // The order of the names would tell of them.
    assigned.sort_by(|a, b| b.revoked.cmp(&a.revoked).then_with(|| a.holder.cmp(&b.holder)));
    Ok(assigned)
}

/// Remembers what a token says: roles that were seen in it, and those that are gone from it. A row that somebody else changes
/// meanwhile stays as he leaves it.
///
/// # Errors
/// Those of the database.
pub async fn remember(tx: &mut Scoped, principal: &str, seen: &[Role], gone: &[Role]) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>();
    if !seen.is_empty() {
        sqlx::query(
            "insert into governance.role_assignments as a (tenant_id, principal, role, source, state, changed_by)
             select $1, $2, r, 'token', 'active', $2 from unnest($3::text[]) r order by r
             on conflict (tenant_id, principal, role) do update set seen_at = now()
                where a.source = 'token' and a.state = 'active'",
        )
        .bind(&tenant)
        .bind(principal)
        .bind(names(seen))
        .execute(tx.connection())
        .await?;
    }
    if !gone.is_empty() {
        sqlx::query(
            "delete from governance.role_assignments
             where tenant_id = $1 and principal = $2 and role = any($3) and source = 'token' and state = 'active'",
        )
        .bind(&tenant)
        .bind(principal)
        .bind(names(gone))
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Gives a role, or takes it away, whatever was before. Returns what is remembered now.
///
/// # Errors
/// Those of the database.
pub async fn change(tx: &mut Scoped, principal: &str, role: Role, revoked: bool, by: &str) -> sqlx::Result<Assignment> {
    let tenant = tx.tenant().to_owned();
    // What is granted or taken away does not fade.
    let query = "insert into governance.role_assignments as a (tenant_id, principal, role, source, state, changed_by)
         values ($1, $2, $3, 'grant', $4, $5)
         on conflict (tenant_id, principal, role) do update
            set source = 'grant', state = excluded.state, changed_by = excluded.changed_by, changed_at = now()
         returning principal, role, source, state, changed_by, changed_at, false as fading";
    sqlx::query_as(query)
        .bind(&tenant)
        .bind(principal)
        .bind(role.name())
        .bind(if revoked { "revoked" } else { "active" })
        .bind(by)
        .fetch_one(tx.connection())
        .await
}
