//! A connection: a source and a target, as they are asked for and as they are kept.
//!
//! Pure: forms, their checks, and the hash that makes the same pair the same connection. A secret never stands here; a
//! source that needs one names the file that holds it.

mod source;
mod target;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

pub use source::{Directory, Git, Github, HttpNdjson, IssueState, KnowledgePointers, S3, Source};
pub use target::{KnowledgeTarget, MemoryTarget, Target};

/// Longest text of a connection's settings, in bytes.
const LONGEST: usize = 2_048;

/// A connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Which one.
    pub id: Uuid,
    /// Where items come from.
    pub source: Source,
    /// Where they go.
    pub target: Target,
    /// What the last whole run left for the next one, as long as no other run has delivered anything since.
    pub state: Option<serde_json::Value>,
}

/// Checks a source and a target.
///
/// # Errors
/// [`Code::InvalidBody`] or [`Code::InvalidLayer`] at the field that does not fit.
pub fn check(source: &Source, target: &Target) -> Result<(), Problem> {
    source::check(source)?;
    if matches!(source, Source::KnowledgeToMemory(_)) && !matches!(target, Target::Memory(_)) {
        let message = "pointers to knowledge are memories";
        return Err(Problem::field(Code::InvalidBody, "/target/type", message));
    }
    target::check(target)
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
    use std::collections::BTreeMap;

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
