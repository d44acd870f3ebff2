//! What an item refers to.
//!
//! Pure. Three forms are known, outside of code: `[[wiki links]]`, which name a path or, without a slash, an item by its name;
//! Markdown links to a relative path; and citations, `knowledge:a/b.md@3`, as contexts give their sources. A note cites what it
//! was made of. A reference says what is meant, not what is there: its target may come later, or never.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::item::Snapshot;
use crate::markdown;
use crate::path::ItemPath;

/// Most references of an item; of more, the first by kind and target.
const MOST: usize = 512;

/// How an item refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It links to it.
    Link,
    /// It stands on it.
    Citation,
}

impl Kind {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Citation => "citation",
        }
    }
}

/// A reference: how, and to which folded path or name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// How.
    pub kind: Kind,
    /// To what: a folded path, with or without its extension, or a name.
    pub target: String,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written here")
}

/// `[[target]]`, `[[target#section|label]]`.
static WIKI: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[\[([^\[\]|#\n]+)(?:#[^\[\]|\n]*)?(?:\|[^\[\]\n]*)?\]\]"));

/// `[label](target "title")`, `[label](<target>)`.
static MARKDOWN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\]\(\s*(?:<([^<>\n]+)>|([^\s()<>]+))(?:\s+"[^"\n]*")?\s*\)"#));

/// `knowledge:target@3`.
static CITATION: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bknowledge:([^\s@()\[\]<>"'`]+)"#));

/// Code within a line.
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern("`[^`\n]*`"));

/// Returns what an item refers to.
#[must_use]
pub fn references(path: &ItemPath, snapshot: &Snapshot) -> Vec<Reference> {
    let mut found = BTreeSet::new();
    let mut add = |kind, target: Option<String>| {
        if let Some(target) = target {
            found.insert(Reference { kind, target });
        }
    };
    for line in markdown::prose_lines(&snapshot.body) {
        let line = CODE.replace_all(line, " ");
        for link in WIKI.captures_iter(&line).filter_map(|found| found.get(1)) {
            add(Kind::Link, folded(link.as_str().trim().trim_start_matches('/')));
        }
        for link in MARKDOWN
            .captures_iter(&line)
            .filter_map(|found| found.get(1).or(found.get(2)))
        {
            add(Kind::Link, relative(path, link.as_str()));
        }
        for cited in CITATION.captures_iter(&line).filter_map(|found| found.get(1)) {
            add(
                Kind::Citation,
                folded(cited.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?'])),
            );
        }
    }
    for source in snapshot
        .attributes
        .metadata
        .get("sources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let source = source.as_str().unwrap_or_default();
        add(
            Kind::Citation,
            folded(source.rsplit_once('@').map_or(source, |(path, _)| path)),
        );
    }
    // Nothing refers to itself.
    found.remove(&Reference {
        kind: Kind::Link,
        target: path.folded(),
    });
    found.into_iter().take(MOST).collect()
}

fn folded(path: &str) -> Option<String> {
    ItemPath::parse(path).ok().map(|path| path.folded())
}

/// A target as it is seen from an item: `../b.md`, or from the root, `/a/b.md`. An address elsewhere is none.
fn relative(from: &ItemPath, target: &str) -> Option<String> {
    let target = decode(target.split(['#', '?']).next()?);
    if target.is_empty() || target.contains(':') {
        return None;
    }
    if let Some(rooted) = target.strip_prefix('/') {
        return folded(rooted);
    }
    let mut segments: Vec<&str> = from.segments().collect();
    segments.pop();
    for segment in target.split('/') {
        match segment {
            "." => {}
            // Above the root there is nothing.
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    folded(&segments.join("/"))
}

/// Undoes `%20` and its like; what is no such thing stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::draft::Draft;
    use crate::item::{Kind as ItemKind, Layer};
    use crate::path::FOLDED;

    fn of(path: &str, text: &str) -> Vec<(Kind, String)> {
        let path = ItemPath::parse(path).expect("a path");
        let draft = Draft {
            kind: Some(ItemKind::Note),
            layer: Some(Layer::Team),
            ..Draft::new(text.to_owned())
        };
        let snapshot = draft.resolve(&path, None).expect("an item");
        references(&path, &snapshot)
            .into_iter()
            .map(|one| (one.kind, one.target))
            .collect()
    }

    fn links(path: &str, text: &str) -> Vec<String> {
        of(path, text).into_iter().map(|(_, target)| target).collect()
    }

    #[test]
    fn wiki_links_name_paths_and_names() {
        let text = "See [[ADRs/0001 Store.md]], [[Retry|how to retry]], ![[b#part]], [[a/b#part|it]], [[../up]], [[]].";
        assert_eq!(links("n.md", text), ["a/b", "adrs/0001 store.md", "b", "retry"]);
    }

    #[test]
    fn markdown_links_are_seen_from_their_item() {
        let text = "[a](b.md) [c](../c/d%20e.md#part \"title\") [r](/root.md) ![p](<with space.md>) \
                    [w](https://example.org/x.md) [m](mailto:a@b.c) [s](#part) [u](../../../up.md)";
        assert_eq!(
            links("x/y/n.md", text),
            ["root.md", "x/c/d e.md", "x/y/b.md", "x/y/with space.md"]
        );
    }

    #[test]
    fn citations_are_references_of_contexts_and_sources_of_notes() {
        let text = "---\nsources: [\"s/t.md@4\", 5]\n---\nAs knowledge:a/B.md@3 says, and knowledge:c.md.\n";
        let cited = |target: &str| (Kind::Citation, target.to_owned());
        assert_eq!(of("n.md", text), [cited("a/b.md"), cited("c.md"), cited("s/t.md")]);
    }

    #[test]
    fn what_stands_in_code_refers_to_nothing_and_nothing_to_itself() {
        assert!(links("n.md", "`[[a]]` and [[n.md]]\n```\n[[b]]\n```\n").is_empty());
    }

    #[test]
    fn references_are_so_many_at_most() {
        let text = (0..MOST + 10)
            .map(|n| format!("[[n{n}]]"))
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(links("x.md", &text).len(), MOST);
    }

    proptest! {
        #[test]
        fn whatever_is_written_the_index_takes_every_target(text in "([\\[\\]()|#%./ ab]|knowledge:|\\PC|\u{fdfa}){1,60}") {
            for target in links("a/b.md", &format!("x{text}")) {
                prop_assert!(!target.is_empty() && target.len() <= FOLDED && !target.contains(char::is_control));
            }
        }
    }
}
