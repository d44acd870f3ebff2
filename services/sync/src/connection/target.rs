//! Where items go: the settings of each type of target, and their checks. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use aeterna_kit::problem::{Code, Problem};

use super::{check_path, check_text};

/// Most tags of a target, and the longest one in bytes: what a memory may have, less the service's own.
const TAGS: (usize, usize) = (32, 128);

/// The layers that knowledge may have.
const KNOWLEDGE_LAYERS: [&str; 4] = ["company", "org", "team", "project"];

/// The statuses that knowledge may begin with.
const STATUSES: [&str; 3] = ["draft", "proposed", "accepted"];

/// The layers that memories may have.
const MEMORY_LAYERS: [&str; 7] = ["agent", "user", "session", "project", "team", "org", "company"];

/// Where items go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Target {
    /// Memories, one an item.
    Memory(MemoryTarget),
    /// Knowledge, one path an item.
    Knowledge(KnowledgeTarget),
}

/// Memories, through the memory service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryTarget {
    /// The layer of the memories.
    #[schema(schema_with = memory_layers)]
    pub layer: String,
    /// Their identifiers: userId, teamId and the like.
    #[serde(default)]
    pub identifiers: BTreeMap<String, String>,
    /// Their labels.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Knowledge, through the knowledge service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnowledgeTarget {
    /// The layer of the items, whatever their front matter names.
    #[schema(schema_with = knowledge_layers)]
    pub layer: String,
    /// What stands before each item's path.
    #[serde(default)]
    pub path_prefix: String,
    /// The kind of items whose front matter names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The status of items whose front matter names none: draft, proposed or accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

fn memory_layers() -> Object {
    layers(&MEMORY_LAYERS, "The layer of the memories.")
}

fn knowledge_layers() -> Object {
    layers(
        &KNOWLEDGE_LAYERS,
        "The layer of the items, whatever their front matter names.",
    )
}

/// A layer as the document tells it; another one has a problem of its own.
fn layers(allowed: &'static [&'static str], description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(allowed.iter().copied()))
        .build()
}

pub(super) fn check(target: &Target) -> Result<(), Problem> {
    match target {
        Target::Memory(memory) => {
            check_layer(&memory.layer, &MEMORY_LAYERS)?;
            let long = |text: &String| text.is_empty() || text.len() > TAGS.1 || text.contains('\0');
            if memory.tags.len() > TAGS.0 || memory.tags.iter().any(long) {
                let message = format!("at most {} tags of 1 to {} bytes", TAGS.0, TAGS.1);
                return Err(Problem::field(Code::InvalidBody, "/target/tags", message));
            }
            if memory.identifiers.len() > MEMORY_LAYERS.len()
                || memory.identifiers.iter().any(|(name, value)| long(name) || long(value))
            {
                let message = "identifiers are userId, agentId, sessionId, projectId, teamId, orgId, companyId";
                return Err(Problem::field(Code::InvalidBody, "/target/identifiers", message));
            }
        }
        Target::Knowledge(knowledge) => {
            check_layer(&knowledge.layer, &KNOWLEDGE_LAYERS)?;
            check_path("/target/pathPrefix", &knowledge.path_prefix)?;
            if let Some(kind) = &knowledge.kind {
                check_text("/target/kind", kind)?;
            }
            if let Some(status) = knowledge.status.as_deref().filter(|status| !STATUSES.contains(status)) {
                let message = format!("status is {status:?}, and must be one of: {}", STATUSES.join(", "));
                return Err(Problem::field(Code::InvalidBody, "/target/status", message));
            }
        }
    }
    Ok(())
}

fn check_layer(layer: &str, allowed: &[&str]) -> Result<(), Problem> {
    if allowed.contains(&layer) {
        return Ok(());
    }
    let message = format!("layer is {layer:?}, and must be one of: {}", allowed.join(", "));
    Err(Problem::field(Code::InvalidLayer, "/target/layer", message))
}
