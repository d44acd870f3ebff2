//! A question on the wire, in the shape of AuthZEN's access evaluation, and its answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::{NAME, is_line};

use crate::engine::{Decision, Principal, Question, Resource, Scope};
use crate::rbac::{Role, action};
use crate::routes::check_scope;

/// What an id and a name are.
const LINE: &str = "1 to 256 bytes without control characters";

/// Most properties of a thing.
const PROPERTIES: usize = 64;

/// May the subject do this to that?
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Who. Its properties `roles` (a list) and `onBehalfOf` say what it is; without `roles`, those count that are
    /// remembered of it here. An empty list says that it has none.
    pub subject: Entity,
    /// What.
    pub action: Named,
    /// To what. Its properties `orgId`, `teamId` and `projectId` say where it belongs.
    pub resource: Entity,
    /// Under which circumstances: risk, justification, via, ip, time, environment, mfa.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
}

/// A subject or a resource.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// `user` or `agent`; `Memory`, `Knowledge`, `Sync`, `Policy`, `Approval`, `RoleAssignment` or `Audit`.
    pub r#type: String,
    /// Its id, 1 to 256 bytes.
    pub id: String,
    /// Anything else; what the schema does not declare is a tag, and a string.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub properties: Map<String, Value>,
}

/// An action.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name: `memory.read`; 1 to 256 bytes.
    pub name: String,
    /// Anything else that is said of it, as AuthZEN allows. No policy asks about it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub properties: Map<String, Value>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Yes or no.
    pub decision: bool,
    /// Why.
    pub context: Why,
}

/// Why an answer is what it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The decision's id, as the decision log has it.
    pub id: Uuid,
    /// The hash of the policies that it was made by.
    pub policy_set_hash: String,
    /// The policies that made it so: `builtin.…`, or policy, version and statement of the tenant's own.
    pub determining: Vec<String>,
    /// Why not, where no policy says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Answer {
    /// Makes the answer of a decision.
    #[must_use]
    pub fn of(decision: Decision, set: &str) -> Self {
        Self {
            decision: decision.allowed,
            context: Why {
                id: decision.id,
                policy_set_hash: set.to_owned(),
                determining: decision.determining,
                reason: decision.reason,
            },
        }
    }
}

impl Evaluation {
    /// Reads the roles that the question says of its subject; none when it says nothing of them.
    ///
    /// # Errors
    /// [`Code::InvalidBody`].
    pub fn roles(&self, at: &str) -> Result<Option<Vec<Role>>, Problem> {
        let Some(given) = self.subject.properties.get("roles") else {
            return Ok(None);
        };
        let read = |names: &Vec<Value>| names.iter().map(|name| Role::parse(name.as_str()?)).collect();
        let roles: Option<Vec<Role>> = given.as_array().and_then(read);
        let pointer = format!("{at}/subject/properties/roles");
        roles
            .map(Some)
            .ok_or_else(|| refuse(pointer, "a list of roles, as docs/rbac.md has them"))
    }

    /// Reads the question; `at` is its pointer in the body.
    ///
    /// # Errors
    /// [`Code::InvalidBody`] for what can be no question. One that the schema does not know is a question, and the answer
    /// is no.
    pub fn read(&self, at: &str) -> Result<Question, Problem> {
        for (name, entity) in [("subject", &self.subject), ("resource", &self.resource)] {
            if !is_line(&entity.id, NAME) {
                return Err(refuse(format!("{at}/{name}/id"), LINE));
            }
            if entity.properties.len() > PROPERTIES {
                return Err(refuse(format!("{at}/{name}/properties"), "at most 64 properties"));
            }
        }
        if self.action.properties.len() > PROPERTIES {
            return Err(refuse(format!("{at}/action/properties"), "at most 64 properties"));
        }
        if !is_line(&self.action.name, NAME) {
            return Err(refuse(format!("{at}/action/name"), LINE));
        }
        let roles = self.roles(at)?.unwrap_or_default();
        let mut who = self.subject.properties.clone();
        who.remove("roles");
        let mut on_behalf_of = take_text(&mut who, "onBehalfOf");
        match self.subject.r#type.to_ascii_lowercase().as_str() {
            "user" if on_behalf_of.is_none() => {}
            // An agent that acts for nobody: what forbids it is a policy.
            "agent" => on_behalf_of = on_behalf_of.or(Some(String::new())),
            _ => {
                return Err(refuse(
                    format!("{at}/subject/type"),
                    "user, or agent for who acts on behalf of somebody",
                ));
            }
        }
        let mut properties = self.resource.properties.clone();
        let scope = Scope {
            org_id: take_text(&mut properties, "orgId"),
            team_id: take_text(&mut properties, "teamId"),
            project_id: take_text(&mut properties, "projectId"),
        };
        check_scope(&format!("{at}/resource/properties"), &scope)?;
        let known = action::ALL.iter().map(|action| action.resource);
        let kind = known
            .into_iter()
            .find(|kind| kind.eq_ignore_ascii_case(&self.resource.r#type));
        Ok(Question {
            principal: Principal {
                id: self.subject.id.clone(),
                on_behalf_of,
                roles,
                properties: who,
            },
            action: self.action.name.clone(),
            resource: Resource {
                kind: kind.map_or_else(|| self.resource.r#type.clone(), str::to_owned),
                id: self.resource.id.clone(),
                scope,
                properties,
            },
            context: self.context.clone(),
        })
    }
}

fn take_text(properties: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = properties.get(name)?.as_str()?.to_owned();
    properties.remove(name);
    Some(text)
}

fn refuse(pointer: String, message: &str) -> Problem {
    Problem::field(Code::InvalidBody, pointer, message)
}
