//! A connection: a source and a target, as they are asked for and as they are kept.
//!
//! Pure: forms, their checks, and the hash that makes the same pair the same connection. A secret never stands here; a
//! source that needs one names the file that holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

/// Longest text of a connection's settings, in bytes.
const LONGEST: usize = 2_048;

/// Most tags of a target, and the longest one in bytes: what a memory may have, less the service's own.
const TAGS: (usize, usize) = (32, 128);

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Markdown files of a directory.
    Directory(Directory),
}

/// Markdown files below a directory that this service can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Directory {
    /// The directory, below the tenant's own: `docs/handbook`. Empty for the tenant's own itself.
    #[serde(default)]
    pub path: String,
}

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
    /// The layer of the items.
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

/// A connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Which one.
    pub id: Uuid,
    /// Where items come from.
    pub source: Source,
    /// Where they go.
    pub target: Target,
    /// What the last whole run left for the next one; null before the first.
    pub state: serde_json::Value,
}

/// The layers that knowledge may have.
const KNOWLEDGE_LAYERS: [&str; 4] = ["company", "org", "team", "project"];

/// The statuses that knowledge may begin with.
const STATUSES: [&str; 3] = ["draft", "proposed", "accepted"];

/// The layers that memories may have.
const MEMORY_LAYERS: [&str; 7] = ["agent", "user", "session", "project", "team", "org", "company"];

/// Checks a source and a target.
///
/// # Errors
/// [`Code::InvalidBody`] or [`Code::InvalidLayer`] at the field that does not fit.
pub fn check(source: &Source, target: &Target) -> Result<(), Problem> {
    match source {
        Source::Directory(directory) => check_path("/source/config/path", &directory.path)?,
    }
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

fn check_text(pointer: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        let message = format!("1 to {LONGEST} bytes without control characters");
        return Err(Problem::field(Code::InvalidBody, pointer, message));
    }
    Ok(())
}

/// A path stays below where it starts: no root, no `..`, no empty segment.
fn check_path(pointer: &str, path: &str) -> Result<(), Problem> {
    if path.is_empty() {
        return Ok(());
    }
    check_text(pointer, path)?;
    if path
        .split('/')
        .any(|segment| segment.is_empty() || segment == "." || segment == "..")
    {
        let message = "a path of plain segments, such as docs/handbook: no leading slash, no `..`";
        return Err(Problem::field(Code::InvalidBody, pointer, message));
    }
    Ok(())
}

/// Returns the hash of a source and a target: the same pair is the same connection.
#[must_use]
pub fn config_hash(source: &Source, target: &Target) -> Vec<u8> {
    // Structs in the order of their fields, maps in the order of their keys: the same bytes each time.
    let text = serde_json::json!([source, target]).to_string();
    Sha256::digest(text).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &str) -> Source {
        Source::Directory(Directory { path: path.to_owned() })
    }

    fn memory(layer: &str) -> Target {
        Target::Memory(MemoryTarget {
            layer: layer.to_owned(),
            identifiers: BTreeMap::new(),
            tags: Vec::new(),
        })
    }

    #[test]
    fn a_path_that_leaves_its_place_is_refused() {
        for path in ["..", "/etc", "a/../b", "a//b", "./a", "a/", "a\0b", "a\nb"] {
            let problem = check(&directory(path), &memory("team")).expect_err(path);
            assert_eq!(problem.code, Code::InvalidBody, "{path}");
        }
        for path in ["", "docs", "docs/über uns", "..."] {
            assert!(check(&directory(path), &memory("team")).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_layer_of_memories_is_not_one_of_knowledge() {
        let knowledge = |layer: &str| {
            Target::Knowledge(KnowledgeTarget {
                layer: layer.to_owned(),
                path_prefix: String::new(),
                kind: None,
                status: None,
            })
        };
        assert!(check(&directory(""), &memory("session")).is_ok());
        assert!(check(&directory(""), &knowledge("team")).is_ok());
        let problem = check(&directory(""), &knowledge("session")).expect_err("refused");
        assert_eq!(problem.code, Code::InvalidLayer);
    }

    #[test]
    fn the_same_pair_has_the_same_hash_and_another_pair_another() {
        let hash = |path, layer| config_hash(&directory(path), &memory(layer));
        assert_eq!(hash("a", "team"), hash("a", "team"));
        assert_ne!(hash("a", "team"), hash("b", "team"));
        assert_ne!(hash("a", "team"), hash("a", "org"));
    }

    #[test]
    fn an_unknown_field_is_refused_in_source_and_target() {
        let source = r#"{"type": "directory", "config": {"path": "a", "colour": "red"}}"#;
        assert!(serde_json::from_str::<Source>(source).is_err());
        let target = r#"{"type": "memory", "layer": "team", "colour": "red"}"#;
        assert!(serde_json::from_str::<Target>(target).is_err());
    }
}
