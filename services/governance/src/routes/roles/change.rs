//! What granting and revoking share.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;

use aeterna_kit::problem::{Code, Problem};

use crate::admission::Admitted;
use crate::rbac::Role;
use crate::rbac::holding::Source;
use crate::store::OrProblem as _;
use crate::store::roles::{self, Assignment};

/// A role of somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoleRequest)]
pub struct Request {
    /// The subject, 1 to 256 bytes.
    pub principal: String,
    /// The role.
    pub role: Role,
}

/// A role that somebody holds, or held.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoleAssignment)]
pub struct View {
    /// The subject.
    pub principal: String,
    /// The role.
    pub role: Role,
    /// `grant`: given here. `token`: seen in the subject's last token.
    pub source: &'static str,
    /// `active`, or `revoked`: then no token gives it back.
    pub state: &'static str,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
}

impl From<Assignment> for View {
    fn from(assignment: Assignment) -> Self {
        Self {
            principal: assignment.principal,
            role: assignment.holding.role,
            source: match assignment.holding.source {
                Source::Grant => "grant",
                Source::Token => "token",
            },
            state: if assignment.holding.revoked {
                "revoked"
            } else {
                "active"
            },
            changed_by: assignment.changed_by,
            changed_at: assignment.changed_at,
        }
    }
}

/// What is done with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is given.
    Grant,
    /// It is taken away.
    Revoke,
}

/// Changes a role, and tells the log.
///
/// # Errors
/// [`Code::InvalidBody`]; [`Code::Forbidden`] for a role above the caller's own.
pub async fn change(mut desk: Admitted, request: &Request, change: Change) -> Result<View, Problem> {
    let view = write(&mut desk, &request.principal, request.role, change).await?;
    desk.close().await?;
    Ok(view)
}

/// The same in a transaction that goes on.
///
/// # Errors
/// Those of [`change`].
pub async fn write(desk: &mut Admitted, principal: &str, role: Role, change: Change) -> Result<View, Problem> {
    check(principal)?;
    // Nobody gives, or takes, more than he has.
    if role != Role::Agent && !desk.principal.roles.iter().any(|own| own.includes(role)) {
        return Err(Problem::field(Code::Forbidden, "/role", "this role is above your own"));
    }
    let (revoked, action) = match change {
        Change::Grant => (false, "role.grant"),
        Change::Revoke => (true, "role.revoke"),
    };
    let by = desk.principal.id.clone();
    let assignment = roles::change(&mut desk.tx, principal, role, revoked, &by)
        .await
        .or_problem()?;
    let details = Map::from_iter([("role".to_owned(), json!(role))]);
    desk.note(action, ("RoleAssignment", principal), details).await?;
    Ok(View::from(assignment))
}

/// Checks a subject's name.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check(principal: &str) -> Result<(), Problem> {
    if principal.is_empty() || principal.len() > 256 || principal.chars().any(char::is_control) {
        return Err(Problem::field(
            Code::InvalidBody,
            "/principal",
            "1 to 256 bytes without control characters",
        ));
    }
    Ok(())
}
