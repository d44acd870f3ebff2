//! What this service does itself when a request is applied: it activates a policy, or grants a role.
//!
//! Nobody approves what he could not do himself, so each effect has a least role for its approvers. What requests of other
//! types stand for is done elsewhere; whoever applies them is handed the payload that was approved.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

use crate::admission::Admitted;
use crate::approval::rules::{self, Risk};
use crate::policy::{Document, Status};
use crate::rbac::Role;
use crate::routes::policies::view::{absent, check, check_room, show_changed};
use crate::routes::roles::change;
use crate::store::approvals::Stored;
use crate::store::{OrProblem as _, policies, roles};

/// What applying a request does here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Makes the version in force of a policy active.
    Activate(Activation),
    /// Grants a role.
    Grant(Granting),
    /// Nothing.
    Elsewhere,
}

/// The payload of type `policy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Activation {
    /// The policy.
    pub policy_id: Uuid,
    /// The version that was looked at; if another is in force by then, nothing is done.
    pub version: i32,
}

/// The payload of type `role`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granting {
    /// To whom.
    pub principal: String,
    /// Which.
    pub role: Role,
}

impl Effect {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`Code::InvalidBody`].
    pub fn read(kind: &str, payload: &Map<String, Value>) -> Result<Self, Problem> {
        let refuse = |error: serde_json::Error| Problem::field(Code::InvalidBody, "/payload", error.to_string());
        let value = Value::Object(payload.clone());
        match kind {
            "policy" => serde_json::from_value(value).map(Self::Activate).map_err(refuse),
            "role" => {
                let granting: Granting = serde_json::from_value(value).map_err(refuse)?;
                change::check("/payload", &granting.principal, granting.role)?;
                Ok(Self::Grant(granting))
            }
            _ => Ok(Self::Elsewhere),
        }
    }

    /// Returns the lowest role that may approve it.
    #[must_use]
    pub fn least(&self) -> Role {
        match self {
            Self::Activate(_) => Role::Architect,
            Self::Grant(granting) => granting.role.max(Role::Admin),
            Self::Elsewhere => Role::TechLead,
        }
    }

    /// Returns the least risk of a request of a type that does this.
    #[must_use]
    pub fn floor(&self, kind: &str) -> Risk {
        let granted = match self {
            Self::Grant(granting) => Some(granting.role),
            Self::Activate(_) | Self::Elsewhere => None,
        };
        rules::floor(kind, granted)
    }

    /// Does it, in the transaction in which the request becomes applied.
    ///
    /// # Errors
    /// When it cannot be done any more; the request then stays approved.
    pub async fn apply(&self, desk: &mut Admitted, request: &Stored) -> Result<(), Problem> {
        match self {
            Self::Activate(activation) => activate(desk, request, activation).await,
            Self::Grant(Granting { principal, role }) => {
                let by = &request.number;
                roles::change(&mut desk.tx, principal, *role, false, by)
                    .await
                    .or_problem()?;
                let details = [("role", json!(role)), ("approval", json!(by))];
                desk.note("role.grant", ("RoleAssignment", principal), collect(details))
                    .await
            }
            Self::Elsewhere => Ok(()),
        }
    }
}

async fn activate(desk: &mut Admitted, request: &Stored, wanted: &Activation) -> Result<(), Problem> {
    let id = wanted.policy_id;
    let current = policies::lock(&mut desk.tx, id)
        .await
        .or_problem()?
        .ok_or_else(|| absent(id))?;
    if current.version != wanted.version {
        let detail = format!(
            "version {} is in force, and {} was approved",
            current.version, wanted.version
        );
        return Err(Problem::new(Code::PreconditionFailed, detail));
    }
    let document = Document {
        status: Status::Active,
        ..current.document
    };
    check(&document).await?;
    let next = current.version + 1;
    let stored = policies::add_version(&mut desk.tx, id, next, &document, &request.core.requested_by)
        .await
        .or_problem()?;
    check_room(&mut desk.tx, &stored).await?;
    let view = show_changed(&mut desk.tx, stored).await?;
    let mut details = view.details();
    details.insert("approval".to_owned(), json!(request.number));
    desk.note("policy.activate", ("Policy", &id.to_string()), details).await
}

fn collect<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
