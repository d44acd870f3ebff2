//! What granting and revoking share.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;

use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::{NAME, is_line};

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
    /// The role; not `Agent`, which a token alone says.
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
    let (principal, role) = (request.principal.as_str(), request.role);
    // Nobody gives, or takes, more than he has.
    if !desk.principal.roles.iter().any(|own| own.includes(role)) {
        let problem = Problem::field(Code::Forbidden, "/role", "this role is above your own");
        return Err(desk.refuse(problem).await);
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
    desk.close().await?;
    Ok(View::from(assignment))
}

/// Checks a subject's name, and that the role is one that is given. `at` is their pointer in the body.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check(at: &str, principal: &str, role: Role) -> Result<(), Problem> {
    let refuse = |name: &str, message: &str| Err(Problem::field(Code::InvalidBody, format!("{at}/{name}"), message));
    if !is_line(principal, NAME) {
        return refuse("principal", "1 to 256 bytes without control characters");
    }
    if role == Role::Agent {
        // It would take from a human all that agents may not do, and could not be had back by himself.
        return refuse(
            "role",
            "whether somebody is an agent, his token alone says; it is neither given nor taken here",
        );
    }
    Ok(())
}
