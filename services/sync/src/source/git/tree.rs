//! What differs between two trees of a repository. Pure: trees come from a function.
//!
//! Subtrees with the same id are not looked into, so a small change in a large repository is a small comparison. A file that
//! only moved is known by its content. A tree can name itself's like ten times on each of ten levels: what is looked at is
//! counted, and more than the limit is an error.

use std::collections::BTreeMap;

/// Deepest nesting that is walked.
const DEEPEST: usize = 32;

/// The id of an object, as hex.
pub(super) type Id = String;

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Tree,
    /// A file.
    Blob,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: Kind,
    pub id: Id,
}

/// The entries of one tree by their names.
pub(super) type Entries = BTreeMap<String, Entry>;

/// A tree that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    /// The entries that somebody wants.
    pub entries: Entries,
    /// How many there are in all: each took its time.
    pub raw: u64,
}

/// The files of two trees by their paths, where they differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Files that are only in the old tree.
    pub gone: BTreeMap<String, Entry>,
    /// Files of the new tree that the old one has not, or has otherwise.
    pub put: BTreeMap<String, Entry>,
}

impl Difference {
    /// Counts the files that are gone and not only moved.
    pub(super) fn vanished(&self) -> usize {
        let mut moved: BTreeMap<&Id, usize> = BTreeMap::new();
        for entry in self.put.values() {
            *moved.entry(&entry.id).or_default() += 1;
        }
        let vanished = |entry: &&Entry| match moved.get_mut(&entry.id) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            None | Some(_) => true,
        };
        self.gone.values().filter(vanished).count()
    }
}

/// Why two trees are not compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error<E> {
    /// A tree cannot be read.
    Read(E),
    /// They hold more than the limit.
    TooMany,
}

/// Compares two trees; without an old one every file is put.
///
/// `read` returns a tree; `most` is how many entries are looked at, those that nobody wants among them.
pub(super) fn compare<E>(
    old: Option<&Id>,
    new: &Id,
    most: u64,
    mut read: impl FnMut(&Id) -> Result<Tree, E>,
) -> Result<Difference, Error<E>> {
    let mut walk = Walk {
        read: &mut read,
        left: most,
        found: Difference::default(),
    };
    walk.visit(old, Some(new), "", 0)?;
    Ok(walk.found)
}

struct Walk<'a, F> {
    read: &'a mut F,
    left: u64,
    found: Difference,
}

impl<E, F: FnMut(&Id) -> Result<Tree, E>> Walk<'_, F> {
    fn visit(&mut self, old: Option<&Id>, new: Option<&Id>, prefix: &str, depth: usize) -> Result<(), Error<E>> {
        if old == new || depth > DEEPEST {
            return Ok(());
        }
        let (mut before, after) = (self.entries(old)?, self.entries(new)?);
        for (name, entry) in after {
            let was = before.remove(&name);
            if was.as_ref() != Some(&entry) {
                self.differ(was, Some(entry), join(prefix, &name), depth)?;
            }
        }
        for (name, entry) in before {
            self.differ(Some(entry), None, join(prefix, &name), depth)?;
        }
        Ok(())
    }

    fn differ(&mut self, old: Option<Entry>, new: Option<Entry>, path: String, depth: usize) -> Result<(), Error<E>> {
        let tree = |entry: &Option<Entry>| {
            let tree = entry.as_ref().filter(|entry| entry.kind == Kind::Tree);
            tree.map(|tree| tree.id.clone())
        };
        let (old_tree, new_tree) = (tree(&old), tree(&new));
        if old_tree.is_some() || new_tree.is_some() {
            self.visit(old_tree.as_ref(), new_tree.as_ref(), &path, depth + 1)?;
        }
        let file = |entry: Option<Entry>| entry.filter(|entry| entry.kind != Kind::Tree);
        match (file(old), file(new)) {
            (_, Some(new)) => drop(self.found.put.insert(path, new)),
            (Some(old), None) => drop(self.found.gone.insert(path, old)),
            (None, None) => {}
        }
        Ok(())
    }

    fn entries(&mut self, tree: Option<&Id>) -> Result<Entries, Error<E>> {
        let Some(tree) = tree else { return Ok(Entries::new()) };
        let Tree { entries, raw } = (self.read)(tree).map_err(Error::Read)?;
        self.left = self.left.checked_sub(raw.max(1)).ok_or(Error::TooMany)?;
        Ok(entries)
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Trees by their ids, as a repository has them: the id of a tree is its content.
    #[derive(Default)]
    struct Store(HashMap<Id, Entries>);

    impl Store {
        /// Stores files given by their paths; returns the root's id.
        fn put(&mut self, files: &BTreeMap<String, String>) -> Id {
            let mut entries = Entries::new();
            let mut below: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            for (path, content) in files {
                match path.split_once('/') {
                    Some((directory, rest)) => {
                        let inner = below.entry(directory.to_owned()).or_default();
                        inner.insert(rest.to_owned(), content.clone());
                    }
                    None => {
                        let (kind, id) = (Kind::Blob, content.clone());
                        entries.insert(path.clone(), Entry { kind, id });
                    }
                }
            }
            for (name, files) in below {
                let (kind, id) = (Kind::Tree, self.put(&files));
                entries.insert(name, Entry { kind, id });
            }
            let id = format!("{entries:?}");
            self.0.insert(id.clone(), entries);
            id
        }

        fn compare(&self, old: Option<&Id>, new: &Id, most: u64) -> Result<Difference, Error<Infallible>> {
            compare(old, new, most, |id| {
                let entries = self.0[id].clone();
                let raw = u64::try_from(entries.len()).expect("small");
                Ok(Tree { entries, raw })
            })
        }
    }

    fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter()
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
            .collect()
    }

    #[test]
    fn what_moved_is_not_vanished() {
        let mut store = Store::default();
        let old = store.put(&files(&[
            ("a/1", "one"),
            ("a/2", "two"),
            ("a/3", "same"),
            ("a/4", "same"),
        ]));
        let new = store.put(&files(&[("b/1", "one"), ("b/2", "two, changed"), ("b/3", "same")]));
        let found = store.compare(Some(&old), &new, 100).expect("compared");
        assert_eq!(found.gone.len(), 4);
        assert_eq!(found.put.len(), 3);
        // One content of two that were alike, and the one that changed.
        assert_eq!(found.vanished(), 2);
    }

    #[test]
    fn a_file_may_become_a_directory_and_a_directory_a_file() {
        let mut store = Store::default();
        let old = store.put(&files(&[("a", "file"), ("b/x", "below")]));
        let new = store.put(&files(&[("a/x", "below"), ("b", "file")]));
        let found = store.compare(Some(&old), &new, 100).expect("compared");
        assert_eq!(found.gone.keys().collect::<Vec<_>>(), ["a", "b/x"]);
        assert_eq!(found.put.keys().collect::<Vec<_>>(), ["a/x", "b"]);
    }

    #[test]
    fn a_tree_that_unfolds_without_end_is_not_followed() {
        // Ten levels of ten times the next one: ten thousand million files in eleven objects.
        let mut store = Store::default();
        let kind = Kind::Blob;
        let leaf: Entries = (0..10)
            .map(|n| {
                (
                    n.to_string(),
                    Entry {
                        kind,
                        id: "x".to_owned(),
                    },
                )
            })
            .collect();
        store.0.insert("0".to_owned(), leaf);
        for level in 1..=10 {
            let (kind, id) = (Kind::Tree, (level - 1).to_string());
            let entries = (0..10)
                .map(|n| (n.to_string(), Entry { kind, id: id.clone() }))
                .collect();
            store.0.insert(level.to_string(), entries);
        }
        assert_eq!(store.compare(None, &"10".to_owned(), 10_000), Err(Error::TooMany));
    }

    #[test]
    fn what_nobody_wants_is_counted_too() {
        let tree = |raw| {
            move |_: &Id| {
                Ok::<_, Infallible>(Tree {
                    entries: Entries::new(),
                    raw,
                })
            }
        };
        assert!(compare(None, &"1".to_owned(), 10, tree(10)).is_ok());
        assert_eq!(compare(None, &"1".to_owned(), 10, tree(11)), Err(Error::TooMany));
    }

    fn some_files() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("[ab](/[ab]){0,2}", "[xyz]", 0..8).prop_map(|all| {
            // No path is a file and a directory at once.
            let is_below = |path: &str, other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            let paths: Vec<String> = all.keys().cloned().collect();
            all.into_iter()
                .filter(|(path, _)| !paths.iter().any(|other| is_below(path, other)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_gone_and_put_leads_from_the_old_files_to_the_new_ones(before in some_files(), after in some_files()) {
            let mut store = Store::default();
            let (old, new) = (store.put(&before), store.put(&after));
            let found = store.compare(Some(&old), &new, 1_000).expect("compared");
            let mut reached = before.clone();
            for path in found.gone.keys() {
                prop_assert!(reached.remove(path).is_some() && !after.contains_key(path));
            }
            for (path, entry) in &found.put {
                prop_assert_ne!(before.get(path), Some(&entry.id));
                reached.insert(path.clone(), entry.id.clone());
            }
            prop_assert_eq!(reached, after);
            let whole = store.compare(None, &new, 1_000).expect("compared");
            prop_assert!(whole.gone.is_empty());
        }
    }
}
