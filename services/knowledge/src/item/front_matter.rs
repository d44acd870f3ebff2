//! Items as Markdown files: YAML between two lines of three dashes, then the text.
//!
//! Pure. [`render`] writes the form that [`split`] and [`read`] take back unchanged, so an exported file that is put again
//! changes nothing. Keys that are not ours are the item's metadata.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use aeterna_kit::yaml::walk;

use super::{Attributes, Kind, Layer, Severity, Snapshot, Status};

/// Longest front matter, in bytes: what the fields of an item may hold in all, with room for the form of YAML.
pub const LONGEST: usize = 32 * 1024;

/// What its values may hold, in bytes: aliases stand for more than is written.
const MOST: usize = 4 << 20;

/// The keys that have a meaning of their own; metadata has no such key.
pub const OWN_KEYS: [&str; 8] = [
    "title",
    "kind",
    "layer",
    "status",
    "severity",
    "summary",
    "tags",
    "supersedes",
];

/// What front matter says; whatever is absent is decided elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct FrontMatter {
    /// The title.
    pub title: Option<String>,
    /// The kind.
    pub kind: Option<Kind>,
    /// The layer.
    pub layer: Option<Layer>,
    /// The status.
    pub status: Option<Status>,
    /// The severity.
    pub severity: Option<Severity>,
    /// The summary.
    pub summary: Option<String>,
    /// The tags.
    pub tags: Option<Vec<String>>,
    /// The path of what it takes the place of.
    pub supersedes: Option<String>,
    /// All other keys.
    #[serde(flatten)]
    pub metadata: Map<String, Value>,
}

/// Front matter that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It begins and does not end.
    #[error("the front matter has no closing line of three dashes")]
    Open,
    /// It is too long.
    #[error("front matter has at most {LONGEST} bytes")]
    TooLong,
    /// It is no YAML, or does not fit.
    #[error("the front matter does not fit: {0}")]
    Yaml(String),
}

/// Splits a text into its front matter, if it has one, and the rest.
///
/// # Errors
/// [`Error::Open`], [`Error::TooLong`].
pub fn split(text: &str) -> Result<(Option<&str>, &str), Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text.strip_prefix("---").and_then(after_line_end) else {
        return Ok((None, text));
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") && line.starts_with(['-', '.']) {
            let (yaml, body) = (rest.get(..at), rest.get(at + line.len()..));
            let yaml = yaml.unwrap_or_default();
            if yaml.len() > LONGEST {
                return Err(Error::TooLong);
            }
            return Ok((Some(yaml), body.unwrap_or_default()));
        }
        at += line.len();
    }
    Err(Error::Open)
}

fn after_line_end(text: &str) -> Option<&str> {
    text.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')
}

/// Reads front matter.
///
/// # Errors
/// [`Error::Yaml`].
pub fn read(yaml: &str) -> Result<FrontMatter, Error> {
    if yaml.trim().is_empty() {
        return Ok(FrontMatter::default());
    }
    // A line and column of the YAML stand in the message.
    let unfit = |error: serde_yaml_ng::Error| Error::Yaml(error.to_string());
    walk(serde_yaml_ng::Deserializer::from_str(yaml), MOST).map_err(unfit)?;
    serde_yaml_ng::from_str(yaml).map_err(unfit)
}

#[derive(Serialize)]
struct Written<'a> {
    title: &'a str,
    kind: Kind,
    layer: Layer,
    status: Status,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<&'a str>,
    #[serde(flatten)]
    metadata: &'a Map<String, Value>,
}

/// Writes an item as a Markdown file.
#[must_use]
pub fn render(snapshot: &Snapshot) -> String {
    format!("---\n{}---\n\n{}", write(&snapshot.attributes), snapshot.body)
}

/// Writes front matter.
#[must_use]
pub fn write(attributes: &Attributes) -> String {
    let Attributes {
        title,
        kind,
        layer,
        status,
        severity,
        summary,
        tags,
        supersedes,
        metadata,
    } = attributes;
    let written = Written {
        title,
        kind: *kind,
        layer: *layer,
        status: *status,
        severity: *severity,
        summary: summary.as_deref(),
        tags,
        supersedes: supersedes.as_deref(),
        metadata,
    };
    // Strings, lists and JSON are always YAML.
    serde_yaml_ng::to_string(&written).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::item::draft::Draft;
    use crate::path::ItemPath;

    #[test]
    fn a_text_without_front_matter_is_all_body() {
        assert_eq!(split("# Title\n---\nmore").expect("fine"), (None, "# Title\n---\nmore"));
        assert_eq!(split("--- not yet").expect("fine"), (None, "--- not yet"));
    }

    #[test]
    fn front_matter_ends_at_its_closing_line() {
        let (yaml, body) = split("---\ntitle: a\ntext: |\n  ---\n---\nbody\n---\n").expect("fine");
        assert_eq!(yaml, Some("title: a\ntext: |\n  ---\n"));
        assert_eq!(body, "body\n---\n");
        assert!(matches!(split("---\ntitle: a\n"), Err(Error::Open)));
    }

    #[test]
    fn keys_that_are_not_ours_are_metadata() {
        let read = read("title: A\nkind: adr\nowner: ann\nreviews: [1, 2]\n").expect("fine");
        assert_eq!((read.title.as_deref(), read.kind), (Some("A"), Some(Kind::Adr)));
        assert_eq!(Value::Object(read.metadata), json!({"owner": "ann", "reviews": [1, 2]}));
    }

    #[test]
    fn a_kind_that_is_none_is_named_with_its_place() {
        let error = read("title: A\nkind: essay\n").expect_err("refused").to_string();
        assert!(error.contains("essay") && error.contains("line"), "{error}");
    }

    #[test]
    fn a_bomb_of_aliases_does_not_go_off() {
        let mut yaml = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (this, last) in ('b'..='z').zip('a'..='y') {
            let list = vec![format!("*{last}"); 9].join(", ");
            yaml = format!(
                "{yaml}{this}: &{this} [{list}]
"
            );
        }
        assert!(matches!(read(&yaml), Err(Error::Yaml(_))));
        // Few values that are long are as many as many that are short.
        let text = "x".repeat(16_000);
        let yaml = format!(
            "a: &a {text}\nb: &b [{}]\nc: [{}]\n",
            vec!["*a"; 4_000].join(","),
            vec!["*b"; 90].join(",")
        );
        assert!(yaml.len() <= LONGEST);
        let error = read(&yaml).expect_err("refused").to_string();
        assert!(error.contains("aliases"), "{error}");
        let few = read("a: &a [x, y]\nb: [*a, *a]\ntitle: '&a is no *a'\n").expect("they stand for little");
        assert_eq!(few.metadata["b"], serde_json::json!([["x", "y"], ["x", "y"]]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            title in "\\PC{0,20}[a-z0-9:#'\"]", summary in proptest::option::of("[^\\x00-\\x1f]{1,30}x"),
            tags in proptest::collection::vec("[a-z0-9:#~ -]{0,8}[a-z0-9]", 0..4),
            key in "[a-z]{9,12}", value in "\\PC{0,20}", number in any::<i64>(), body in "(\\PC|[\\n#-]){0,60}",
        ) {
            let metadata = json!({&key: value, "zz-number": number, "yes": [true, null]});
            let wanted = Draft {
                title: Some(title), summary, tags: Some(tags), kind: Some(Kind::Note), layer: Some(Layer::Team),
                metadata: metadata.as_object().cloned(), ..Draft::new(format!("x{body}"))
            };
            let path = ItemPath::parse("a").expect("fine");
            let Ok(first) = wanted.resolve(&path, None) else { return Ok(()) };
            let text = render(&first);
            let again = Draft::new(text.clone()).resolve(&path, None).expect("what was written can be read");
            prop_assert_eq!(again.hash(), first.hash(), "{}", text);
        }
    }
}
