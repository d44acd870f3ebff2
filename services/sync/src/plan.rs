//! What a batch has to do, decided without IO.
//!
//! For each item: what the source says, and what is known of earlier deliveries, give a [`Step`]. The id that an item has
//! in its target depends on the item alone, so that a repeated delivery meets what an interrupted one has left.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::connection::{KnowledgeTarget, Target};
use crate::job::Progress;

/// What is known of an item from earlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The hash of what was delivered.
    pub content_hash: Option<Vec<u8>>,
    /// Its id in the target.
    pub target_id: Option<String>,
    /// The version that the target gave to what was delivered, where it has versions.
    pub target_version: Option<String>,
    /// Ids that an interrupted delivery may have left in the target.
    pub intended_ids: Vec<String>,
    /// The version that the source gave it then.
    pub source_version: Option<String>,
    /// The job that met it last.
    pub seen_by: Option<Uuid>,
}

impl Known {
    /// Returns the id and the version in the target of what was delivered last.
    #[must_use]
    pub fn delivered_version(&self) -> Option<(String, String)> {
        self.target_id.clone().zip(self.target_version.clone())
    }
}

/// What has to be done for an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The target has it.
    Keep,
    /// Deliver it under an id; then remove what it had before.
    Put {
        /// The id in the target.
        id: String,
        /// What is removed afterwards.
        stale: Vec<String>,
        /// Whether the target had it in another form.
        replaces: bool,
    },
    /// Remove it.
    Remove {
        /// All ids that it may have in the target.
        stale: Vec<String>,
    },
}

/// Returns the hash of a text.
#[must_use]
pub fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

/// Returns the id that a text of an item has in its target.
///
/// A memory cannot be changed: each text has an id of its own. Knowledge has versions: the path is the id.
#[must_use]
pub fn target_id(target: &Target, connection: Uuid, external_id: &str, content_hash: &[u8]) -> String {
    match target {
        Target::Memory(_) => {
            let mut digest = Sha256::new();
            digest.update(connection.as_bytes());
            digest.update(external_id.as_bytes());
            digest.update([0]);
            digest.update(content_hash);
            let digest: [u8; 32] = digest.finalize().into();
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
            uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
        }
        Target::Knowledge(KnowledgeTarget { path_prefix, .. }) if path_prefix.is_empty() => external_id.to_owned(),
        Target::Knowledge(KnowledgeTarget { path_prefix, .. }) => format!("{path_prefix}/{external_id}"),
    }
}

/// Tells whether an item need not be read: its source says that it is as it was when it was delivered.
#[must_use]
pub fn is_same_version(known: &Known, version: Option<&str>) -> bool {
    version.is_some()
        && known.source_version.as_deref() == version
        && known.content_hash.is_some()
        && known.intended_ids.is_empty()
}

/// Decides about an item that has a text.
#[must_use]
pub fn plan_text(known: &Known, content_hash: &[u8], id: String) -> Step {
    if known.content_hash.as_deref() == Some(content_hash) && known.intended_ids.is_empty() {
        return Step::Keep;
    }
    let stale = all_ids(known).into_iter().filter(|old| *old != id).collect();
    Step::Put {
        id,
        stale,
        replaces: known.content_hash.is_some(),
    }
}

/// Decides about an item that is gone.
#[must_use]
pub fn plan_gone(known: &Known) -> Step {
    Step::Remove { stale: all_ids(known) }
}

fn all_ids(known: &Known) -> Vec<String> {
    let mut ids: Vec<String> = known.target_id.iter().chain(&known.intended_ids).cloned().collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Returns the ids that an interrupted delivery may have left, and that are not what was delivered.
#[must_use]
pub fn leftovers(known: &Known) -> Vec<String> {
    let delivered = known.target_id.as_ref();
    all_ids(known).into_iter().filter(|id| Some(id) != delivered).collect()
}

/// Returns what an item is marked with that a job saw before its source became another.
///
/// It is no longer seen, and it is counted already.
#[must_use]
pub fn seen_before(job: Uuid) -> Uuid {
    Uuid::from_u128(job.as_u128() ^ 1)
}

/// Tells whether so many items may vanish at once: at most a fifth, unless that is allowed.
#[must_use]
pub fn is_mass_delete(vanishing: u64, known: u64) -> bool {
    // vanishing / known > 1 / 5
    vanishing.saturating_mul(5) > known
}

/// What became of an item, for the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// New in the target.
    Added,
    /// Changed in the target.
    Updated,
    /// Gone from the target.
    Deleted,
    /// As before.
    Unchanged,
    /// Not taken.
    Rejected,
}

impl Progress {
    /// Counts an item.
    pub fn count(&mut self, counted: Counted) {
        self.processed += 1;
        match counted {
            Counted::Added => self.added += 1,
            Counted::Updated => self.updated += 1,
            Counted::Deleted => self.deleted += 1,
            Counted::Unchanged => self.unchanged += 1,
            Counted::Rejected => self.rejected += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connection::MemoryTarget;

    fn memory() -> Target {
        Target::Memory(MemoryTarget {
            layer: "team".to_owned(),
            identifiers: std::collections::BTreeMap::new(),
            tags: Vec::new(),
        })
    }

    fn delivered(text: &str, id: &str) -> Known {
        Known {
            content_hash: Some(hash(text)),
            target_id: Some(id.to_owned()),
            source_version: Some("v1".to_owned()),
            ..Known::default()
        }
    }

    #[test]
    fn a_new_text_is_put_an_old_one_kept_and_a_changed_one_put_before_the_old_is_removed() {
        let put = |id: &str, stale: &[&str], replaces| Step::Put {
            id: id.to_owned(),
            stale: stale.iter().map(|&id| id.to_owned()).collect(),
            replaces,
        };
        assert_eq!(
            plan_text(&Known::default(), &hash("a"), "1".to_owned()),
            put("1", &[], false)
        );
        assert_eq!(plan_text(&delivered("a", "1"), &hash("a"), "1".to_owned()), Step::Keep);
        assert_eq!(
            plan_text(&delivered("a", "1"), &hash("b"), "2".to_owned()),
            put("2", &["1"], true)
        );
    }

    #[test]
    fn what_an_interrupted_delivery_may_have_left_is_removed_with_the_next_one() {
        let interrupted = Known {
            intended_ids: vec!["2".to_owned()],
            ..delivered("a", "1")
        };
        // The source went back to the old text meanwhile: 2 may be there, and nobody wants it.
        let Step::Put { stale, .. } = plan_text(&interrupted, &hash("a"), "1".to_owned()) else {
            panic!("it is delivered again");
        };
        assert_eq!(stale, ["2"]);
        assert_eq!(leftovers(&interrupted), ["2"]);
        let Step::Remove { stale } = plan_gone(&interrupted) else {
            panic!("it is removed");
        };
        assert_eq!(stale, ["1", "2"]);
    }

    #[test]
    fn an_item_is_left_unread_only_when_the_same_version_was_delivered() {
        let known = delivered("a", "1");
        assert!(is_same_version(&known, Some("v1")));
        assert!(!is_same_version(&known, Some("v2")));
        assert!(!is_same_version(
            &Known {
                source_version: None,
                ..known.clone()
            },
            None
        ));
        let never = Known {
            content_hash: None,
            ..known.clone()
        };
        assert!(!is_same_version(&never, Some("v1")));
        let interrupted = Known {
            intended_ids: vec!["2".to_owned()],
            ..known
        };
        assert!(!is_same_version(&interrupted, Some("v1")));
    }

    #[test]
    fn more_than_a_fifth_is_a_mass_delete() {
        assert!(!is_mass_delete(0, 0));
        assert!(!is_mass_delete(1, 5));
        assert!(is_mass_delete(2, 5));
        assert!(is_mass_delete(1, 4));
        assert!(!is_mass_delete(20, 100));
        assert!(is_mass_delete(21, 100));
    }

    #[test]
    fn knowledge_keeps_its_path_and_a_memory_gets_an_id_for_each_text() {
        let knowledge = |prefix: &str| {
            Target::Knowledge(KnowledgeTarget {
                layer: "team".to_owned(),
                path_prefix: prefix.to_owned(),
                kind: None,
                status: None,
            })
        };
        let connection = Uuid::nil();
        assert_eq!(target_id(&knowledge(""), connection, "a/b.md", &hash("x")), "a/b.md");
        assert_eq!(
            target_id(&knowledge("docs"), connection, "a/b.md", &hash("x")),
            "docs/a/b.md"
        );
        let id = |external: &str, text: &str| target_id(&memory(), connection, external, &hash(text));
        assert_eq!(id("a", "x"), id("a", "x"));
        assert_ne!(id("a", "x"), id("a", "y"));
        assert_ne!(id("a", "x"), id("b", "x"));
        assert_ne!(id("a", "x"), target_id(&memory(), Uuid::max(), "a", &hash("x")));
    }

    proptest! {
        #[test]
        fn whatever_was_left_the_target_ends_with_exactly_the_new_text(
            before in prop::option::of(0_u8..4), left in prop::collection::vec(0_u8..4, 0..3), now in 0_u8..4,
        ) {
            let id = |n: u8| n.to_string();
            let known = Known {
                content_hash: before.map(|n| hash(&id(n))),
                target_id: before.map(id),
                intended_ids: left.iter().map(|n| id(*n)).collect(),
                ..Known::default()
            };
            // Everything that may be in the target is, in the worst case.
            let mut target: std::collections::BTreeSet<String> = known.target_id.iter().chain(&known.intended_ids).cloned().collect();
            match plan_text(&known, &hash(&id(now)), id(now)) {
                Step::Keep => {}
                Step::Put { id, stale, .. } => {
                    target.insert(id);
                    for old in stale { target.remove(&old); }
                }
                Step::Remove { .. } => prop_assert!(false, "a text is never removed"),
            }
            prop_assert_eq!(target.into_iter().collect::<Vec<_>>(), vec![id(now)]);
        }
    }
}
