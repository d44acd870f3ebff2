//! The index of one keyword field: which points have which value.
//!
//! It makes the work for a small tenant in a large collection proportional to the tenant. The points of a value
//! are in the order of their ids, so that a scroll can start in the middle.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{Value, value::Kind};

use super::PointKey;
use crate::filter::{Path, Payload, elements};

/// Points by id, with their rows.
pub(crate) type Rows = BTreeMap<PointKey, usize>;

/// The points of each value of one field.
#[derive(Debug)]
pub(crate) struct KeywordIndex {
    path: Path,
    values: HashMap<String, Rows>,
}

impl KeywordIndex {
    /// Makes an empty index.
    pub(crate) fn new(path: Path) -> Self {
        Self {
            path,
            values: HashMap::new(),
        }
    }

    /// Says whether this is the index of a field.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        self.path == *path
    }

    /// Returns the points with a value.
    pub(crate) fn rows(&self, value: &str) -> Option<&Rows> {
        self.values.get(value)
    }

    /// Counts the points with any value.
    pub(crate) fn count(&self) -> usize {
        self.values.values().map(BTreeMap::len).sum()
    }

    /// Files a point under each of its values.
    pub(crate) fn insert(&mut self, key: PointKey, row: usize, payload: &Payload) {
        for word in words(&self.path, payload) {
            if let Some(rows) = self.values.get_mut(word) {
                rows.insert(key, row);
            } else {
                let rows = Rows::from([(key, row)]);
                self.values.insert(word.to_owned(), rows);
            }
        }
    }

    /// Takes a point out again, given the payload that it was filed with.
    pub(crate) fn remove(&mut self, key: PointKey, payload: &Payload) {
        for word in words(&self.path, payload) {
            if let Some(rows) = self.values.get_mut(word) {
                rows.remove(&key);
                if rows.is_empty() {
                    self.values.remove(word);
                }
            }
        }
    }
}

fn words<'a>(path: &Path, payload: &'a Payload) -> Vec<&'a str> {
    let mut words = Vec::new();
    path.visit(payload, &mut |value| match elements(value) {
        Some(elements) => words.extend(elements.iter().filter_map(word)),
        None => words.extend(word(value)),
    });
    words
}

fn word(value: &Value) -> Option<&str> {
    if let Some(Kind::StringValue(word)) = &value.kind {
        Some(word)
    } else {
        None
    }
}
