//! A question to the engine, and its form for Cedar.
//!
//! A principal's roles are handed over as its ancestors, each with the roles below it, so no role is looked up. What the
//! schema declares of a thing is an attribute; any other property is a tag, and must be a string.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::OnceLock;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attributes;
use crate::rbac::Role;
use crate::text;

/// Where in the organisation a thing belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
}

impl Scope {
    /// Checks the ids.
    ///
    /// # Errors
    /// The name of the first id that is none, as the wire has it.
    pub fn check(&self) -> Result<(), &'static str> {
        let ids = [
            ("orgId", &self.org_id),
            ("teamId", &self.team_id),
            ("projectId", &self.project_id),
        ];
        let is_bad = |id: &Option<String>| id.as_ref().is_some_and(|id| !text::is_line(id, text::NAME));
        match ids.into_iter().find(|(_, id)| is_bad(id)) {
            Some((name, _)) => Err(name),
            None => Ok(()),
        }
    }
}

/// Who wants to do it.
#[derive(Debug, Clone, Default)]
pub struct Principal {
    /// The user's or the agent's id.
    pub id: String,
    /// Whom an agent acts for. With it, or with the role `Agent` of its token, the principal is an agent.
    pub on_behalf_of: Option<String>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Anything else that policies may ask about.
    pub properties: Map<String, Value>,
}

impl Principal {
    /// Tells whether it is a program that acts for somebody.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        self.on_behalf_of.is_some() || self.roles.contains(&Role::Agent)
    }

    /// Returns the human behind it.
    #[must_use]
    pub fn human(&self) -> &str {
        self.on_behalf_of.as_deref().unwrap_or(&self.id)
    }
}

/// What it is done to.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// The entity type: `Memory`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Where it belongs.
    pub scope: Scope,
    /// Anything else that policies may ask about.
    pub properties: Map<String, Value>,
}

/// One question.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Who.
    pub principal: Principal,
    /// What: `memory.read`.
    pub action: String,
    /// To what.
    pub resource: Resource,
    /// Under which circumstances.
    pub context: Map<String, Value>,
}

/// A question that the schema does not allow. The answer to it is no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswerable(pub String);

impl Unanswerable {
    fn because(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Question {
    /// Makes Cedar's form of the question.
    ///
    /// # Errors
    /// [`Unanswerable`] when the schema knows no such action, does not apply it to such things, or a property has another
    /// type than declared.
    pub(super) fn pose(&self, schema: &Schema) -> Result<(Request, Entities), Unanswerable> {
        let principal = self.principal_entity()?;
        let resource = self.resource_entity()?;
        let context = attributes::context(&self.context).map_err(Unanswerable)?;
        let context = Context::from_pairs(context).map_err(|error| Unanswerable::because(&error))?;
        let request = Request::new(
            principal.uid(),
            uid("Action", &self.action)?,
            resource.uid(),
            context,
            Some(schema),
        )
        .map_err(|error| Unanswerable::because(&error))?;
        let entities =
            Entities::from_entities([principal, resource], None).map_err(|error| Unanswerable::because(&error))?;
        Ok((request, entities))
    }

    fn principal_entity(&self) -> Result<Entity, Unanswerable> {
        let (who, kind) = (
            &self.principal,
            if self.principal.is_agent() { "Agent" } else { "User" },
        );
        let mut parents = HashSet::new();
        for role in &who.roles {
            let mut held = Some(*role);
            while let Some(role) = held {
                parents.insert(uid("Role", role.name())?);
                held = role.below();
            }
        }
        let mut properties = who.properties.clone();
        if let Some(human) = &who.on_behalf_of {
            properties.insert("onBehalfOf".to_owned(), Value::String(human.clone()));
        }
        entity(kind, &who.id, parents, &properties)
    }

    fn resource_entity(&self) -> Result<Entity, Unanswerable> {
        let scope = &self.resource.scope;
        let mut parents = HashSet::new();
        // An audit log belongs to the tenant as a whole.
        if self.resource.kind != "Audit" {
            let places = [
                ("Org", &scope.org_id),
                ("Team", &scope.team_id),
                ("Project", &scope.project_id),
            ];
            for (kind, id) in places {
                if let Some(id) = id {
                    parents.insert(uid(kind, id)?);
                }
            }
        }
        entity(
            &self.resource.kind,
            &self.resource.id,
            parents,
            &self.resource.properties,
        )
    }
}

fn entity(
    kind: &str,
    id: &str,
    parents: HashSet<EntityUid>,
    properties: &Map<String, Value>,
) -> Result<Entity, Unanswerable> {
    let (declared, tags) = attributes::split(kind, properties).map_err(Unanswerable)?;
    let declared: HashMap<String, RestrictedExpression> = declared.into_iter().collect();
    let tags: BTreeMap<String, RestrictedExpression> = tags.into_iter().collect();
    Entity::new_with_tags(uid(kind, id)?, declared, parents, tags).map_err(|error| Unanswerable::because(&error))
}

static TYPES: OnceLock<HashMap<&'static str, EntityTypeName>> = OnceLock::new();

/// Makes an entity's name. Parsing that of a type takes longer than most decisions, so each is parsed once.
fn uid(kind: &str, id: &str) -> Result<EntityUid, Unanswerable> {
    let types = TYPES.get_or_init(|| {
        let kinds = attributes::DECLARED.iter().map(|(kind, _)| *kind);
        kinds
            .chain(["Action", "Role", "Org", "Team", "Project"])
            .filter_map(|kind| Some((kind, EntityTypeName::from_str(kind).ok()?)))
            .collect()
    });
    let kind = types
        .get(kind)
        .ok_or_else(|| Unanswerable(format!("{kind} is no type of the schema")))?;
    Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id)))
}
