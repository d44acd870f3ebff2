//! What a caller sends, on its way to be an item.
//!
//! Pure. A field of the request wins over the front matter of its text, the front matter over what the path suggests
//! (`teams/blue/adrs/1.md` is an adr of the layer team). An item that has a status keeps it when nothing names another.

use serde_json::{Map, Value};

use super::front_matter::{self, FrontMatter, OWN_KEYS};
use super::kind::KINDS;
use super::layer::LAYERS;
use super::{Attributes, Kind, Layer, Severity, Snapshot, Status};
use crate::markdown;
use crate::path::{ItemPath, compose};

/// Longest content, in bytes: of the text, without its front matter.
pub const CONTENT: usize = 256 * 1024;

/// Largest metadata, in bytes of JSON.
const METADATA: usize = 16 * 1024;

/// Longest title and summary, in bytes.
const TITLE: usize = 512;
const SUMMARY: usize = 2048;

/// Most tags, and the longest one in bytes.
const TAGS: (usize, usize) = (64, 128);

/// What a caller sends.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The text, with or without front matter.
    pub content: String,
    /// The title; else that of the front matter, the first heading, or the file's name.
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
    /// Anything else.
    pub metadata: Option<Map<String, Value>>,
}

/// What a draft says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The kind.
    pub kind: Option<Kind>,
    /// The layer.
    pub layer: Option<Layer>,
    /// The status, if it says one.
    pub status: Option<Status>,
}

/// Why a draft is no item.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The front matter cannot be read.
    #[error(transparent)]
    FrontMatter(#[from] front_matter::Error),
    /// The text is empty, too long, or has a NUL.
    #[error("content has 1 to {CONTENT} bytes of Markdown, and no NUL")]
    Content,
    /// Nothing says what it is.
    #[error("nothing says the kind: send one of {}", list(KINDS.map(Kind::as_str)))]
    Kind,
    /// Nothing says whom it speaks to.
    #[error("nothing says the layer: send one of {}", list(LAYERS.map(Layer::as_str)))]
    Layer,
    /// Sections that the kind needs are missing.
    #[error("{kind} needs sections with a text, headed: {missing}", kind = .kind.as_str())]
    Sections {
        /// The kind.
        kind: Kind,
        /// Which.
        missing: String,
    },
    /// A field is too long or too many.
    #[error("{message}")]
    Field {
        /// The field, as a JSON pointer.
        pointer: &'static str,
        /// What would be right.
        message: String,
    },
}

fn list<const N: usize>(names: [&str; N]) -> String {
    names.join(", ")
}

fn refuse<T>(pointer: &'static str, message: impl Into<String>) -> Result<T, Invalid> {
    let message = message.into();
    Err(Invalid::Field { pointer, message })
}

impl Draft {
    /// Makes a draft of a text alone.
    #[must_use]
    pub fn new(content: String) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// Returns what a draft says of an item before it is looked at closer; nothing of a front matter that cannot be read.
    #[must_use]
    pub fn claim(&self, path: &ItemPath) -> Claim {
        let text = self.content.replace("\r\n", "\n");
        let yaml = front_matter::split(&text).ok().and_then(|(yaml, _)| yaml);
        let front = yaml.and_then(|yaml| front_matter::read(yaml).ok()).unwrap_or_default();
        Claim {
            kind: self.kind.or(front.kind).or_else(|| kind_of(path)),
            layer: self.layer.or(front.layer).or_else(|| layer_of(path)),
            status: self.status.or(front.status),
        }
    }

    /// Makes the item's next snapshot; `status` is the one that it has.
    ///
    /// # Errors
    /// [`Invalid`] says what does not fit.
    pub fn resolve(self, path: &ItemPath, status: Option<Status>) -> Result<Snapshot, Invalid> {
        if self.content.contains('\0') {
            return Err(Invalid::Content);
        }
        let text = self.content.replace("\r\n", "\n");
        let (yaml, rest) = front_matter::split(&text)?;
        let front = yaml.map(front_matter::read).transpose()?.unwrap_or_default();
        let body = body_of(rest)?;
        let kind = self
            .kind
            .or(front.kind)
            .or_else(|| kind_of(path))
            .ok_or(Invalid::Kind)?;
        let layer = self
            .layer
            .or(front.layer)
            .or_else(|| layer_of(path))
            .ok_or(Invalid::Layer)?;
        let missing = kind.missing_sections(&body);
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Invalid::Sections { kind, missing });
        }
        let attributes = self.attributes(front, kind, layer, status, path, &body);
        check(&attributes)?;
        Ok(Snapshot { attributes, body })
    }

    fn attributes(
        self,
        front: FrontMatter,
        kind: Kind,
        layer: Layer,
        status: Option<Status>,
        path: &ItemPath,
        body: &str,
    ) -> Attributes {
        let title = self.title.or(front.title);
        let mut tags = self.tags.or(front.tags).unwrap_or_default();
        tags.sort();
        tags.dedup();
        Attributes {
            title: title.unwrap_or_else(|| markdown::title(body).unwrap_or_else(|| path.stem()).to_owned()),
            kind,
            layer,
            status: self.status.or(front.status).or(status).unwrap_or(Status::Draft),
            severity: self.severity.or(front.severity).unwrap_or(Severity::Info),
            summary: self.summary.or(front.summary),
            tags,
            supersedes: self.supersedes.or(front.supersedes).as_deref().map(compose),
            metadata: self.metadata.unwrap_or(front.metadata),
        }
    }
}

/// The text without empty lines before it and with one line end behind it.
fn body_of(rest: &str) -> Result<String, Invalid> {
    let body = rest.trim_start_matches('\n').trim_end();
    // With the line end that it gets.
    if body.trim().is_empty() || body.len() >= CONTENT {
        return Err(Invalid::Content);
    }
    Ok(format!("{body}\n"))
}

fn kind_of(path: &ItemPath) -> Option<Kind> {
    path.segments()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .skip(1)
        .find_map(Kind::of_folder)
}

fn layer_of(path: &ItemPath) -> Option<Layer> {
    path.segments().next().and_then(Layer::of_folder)
}

fn check(attributes: &Attributes) -> Result<(), Invalid> {
    let Attributes {
        title,
        summary,
        tags,
        metadata,
        supersedes,
        ..
    } = attributes;
    let is_line = |text: &str| !text.trim().is_empty() && !text.contains(char::is_control);
    if !is_line(title) || title.len() > TITLE {
        return refuse("/title", format!("a title is a line of 1 to {TITLE} bytes"));
    }
    if summary
        .as_ref()
        .is_some_and(|text| text.len() > SUMMARY || text.contains('\0'))
    {
        return refuse("/summary", format!("a summary has at most {SUMMARY} bytes, and no NUL"));
    }
    if tags.len() > TAGS.0 || tags.iter().any(|tag| !is_line(tag) || tag.len() > TAGS.1) {
        let message = format!("at most {} tags, each a line of 1 to {} bytes", TAGS.0, TAGS.1);
        return refuse("/tags", message);
    }
    if let Some(own) = metadata.keys().find(|key| OWN_KEYS.contains(&key.as_str())) {
        return refuse("/metadata", format!("{own} is a field of its own, not metadata"));
    }
    let json = Value::Object(metadata.clone()).to_string();
    if json.len() > METADATA || json.contains("\\u0000") {
        return refuse(
            "/metadata",
            format!("metadata has at most {METADATA} bytes of JSON, and no NUL"),
        );
    }
    if let Some(path) = supersedes
        && let Err(error) = ItemPath::parse(path)
    {
        return refuse("/supersedes", error.to_string());
    }
    // Else it could be exported and not imported.
    if front_matter::write(attributes).len() > front_matter::LONGEST {
        let message = format!(
            "as front matter all fields have at most {} bytes together",
            front_matter::LONGEST
        );
        return refuse("/metadata", message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ItemPath {
        ItemPath::parse(text).expect("fine")
    }

    #[test]
    fn the_request_wins_over_the_front_matter_and_that_over_the_path() {
        let content = "---\nkind: pattern\ntitle: Front\n---\n# Head\n## Problem\na\n## Solution\nb\n";
        let draft = || Draft::new(content.to_owned());
        let found = draft()
            .resolve(&path("teams/blue/adrs/1.md"), None)
            .expect("fine")
            .attributes;
        assert_eq!(
            (found.kind, found.layer, found.title.as_str()),
            (Kind::Pattern, Layer::Team, "Front")
        );
        let asked = Draft {
            kind: Some(Kind::Note),
            title: Some("Asked".to_owned()),
            ..draft()
        };
        let found = asked
            .resolve(&path("company/1.md"), Some(Status::Accepted))
            .expect("fine")
            .attributes;
        assert_eq!((found.kind, found.title.as_str()), (Kind::Note, "Asked"));
        assert_eq!((found.layer, found.status), (Layer::Company, Status::Accepted));
    }

    #[test]
    fn a_text_without_a_title_is_named_by_its_heading_or_its_file() {
        let note = |text: &str| Draft::new(text.to_owned()).resolve(&path("company/notes/the-file.md"), None);
        assert_eq!(
            note("# The heading\ntext").expect("fine").attributes.title,
            "The heading"
        );
        assert_eq!(note("text").expect("fine").attributes.title, "the-file");
    }

    #[test]
    fn what_says_too_little_is_refused() {
        let resolve = |text: &str, at: &str| Draft::new(text.to_owned()).resolve(&path(at), None);
        assert!(matches!(resolve("x", "company/x.md"), Err(Invalid::Kind)));
        assert!(matches!(resolve("x", "notes/x.md"), Err(Invalid::Layer)));
        assert!(matches!(
            resolve("---\n---\n \n", "company/notes/x.md"),
            Err(Invalid::Content)
        ));
        assert!(matches!(
            resolve("x", "company/specs/x.md"),
            Err(Invalid::Sections { .. })
        ));
        let named = "---\nstatus: [\n---\nx";
        assert!(matches!(
            resolve(named, "company/notes/x"),
            Err(Invalid::FrontMatter(_))
        ));
    }

    #[test]
    fn what_is_superseded_is_named_as_its_path_is() {
        for text in [
            "---\nsupersedes: \"cafe\u{301}.md\"\n---\nx",
            "---\nsupersedes: \"caf\u{e9}.md\"\n---\nx",
        ] {
            let found = Draft::new(text.to_owned()).resolve(&path("company/notes/x"), None);
            assert_eq!(
                found.expect("fine").attributes.supersedes.as_deref(),
                Some("caf\u{e9}.md")
            );
        }
    }

    #[test]
    fn whatever_is_taken_is_taken_again_as_the_file_that_it_is() {
        let nested = (0..60).fold(Value::from("x"), |inner, _| {
            Map::from_iter([("k".to_owned(), inner)]).into()
        });
        let bounds = Draft {
            content: "x".repeat(CONTENT - 1),
            title: Some("t".repeat(TITLE)),
            summary: Some("\u{1}s\"".repeat(SUMMARY / 3)),
            tags: Some((0..TAGS.0).map(|n| format!("{n:0>128}")).collect()),
            supersedes: Some(format!("{}/x", "p".repeat(250))),
            metadata: Some(Map::from_iter([("k".to_owned(), "m".repeat(METADATA - 8).into())])),
            ..Draft::default()
        };
        let deep = Draft {
            metadata: Some(Map::from_iter([("k".to_owned(), vec![nested; 40].into())])),
            ..Draft::new("text".to_owned())
        };
        let resolve = |draft: Draft| draft.resolve(&path("company/notes/x"), None);
        let taken = resolve(bounds.clone()).expect("each field is as long as it may be");
        let file = front_matter::render(&taken);
        assert_eq!(
            resolve(Draft::new(file)).expect("its file is taken").hash(),
            taken.hash()
        );
        // As JSON it is short, and as a file its lines are far in.
        let refused = resolve(deep).expect_err("too deep").to_string();
        assert!(refused.contains("front matter"), "{refused}");
        let longer = Draft {
            content: "x".repeat(CONTENT),
            ..bounds
        };
        assert!(matches!(resolve(longer), Err(Invalid::Content)));
    }

    #[test]
    fn line_ends_of_another_system_are_the_same_text() {
        let resolve = |text: &str| {
            Draft::new(text.to_owned())
                .resolve(&path("company/notes/x"), None)
                .expect("fine")
        };
        assert_eq!(resolve("\r\na\r\nb").hash(), resolve("a\nb\n\n").hash());
    }
}
