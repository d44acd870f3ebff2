//! Where an item is: a path of segments, like a file's in a repository.
//!
//! Pure. A path is refused rather than repaired, with one exception: Unicode is brought into its composed form, so that what
//! looks the same is the same. Whatever leaves here can be a file name below a folder on any file system: nothing climbs,
//! hides, or differs from another by case alone (see [`ItemPath::folded`]).

use unicode_normalization::UnicodeNormalization as _;

/// Longest path, in bytes.
pub const LONGEST: usize = 1024;

/// Longest folded path, in bytes: one sign may be folded into many, and an index of PostgreSQL takes 2704 bytes in all.
pub const FOLDED: usize = 2 * LONGEST;

/// Longest segment, in bytes: a file name's limit.
const SEGMENT: usize = 255;

/// Most segments.
const DEEPEST: usize = 32;

/// Names that the API itself has below `/api/v1/knowledge/`.
const RESERVED: [&str; 2] = ["search", "import"];

/// Devices of Windows, and what its ports end with.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
const PORTS: [&str; 13] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "\u{b9}", "\u{b2}", "\u{b3}",
];

/// A path of an item, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemPath(String);

/// A folder: a prefix of paths; the root is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FolderPath(String);

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing is there.
    #[error("a path has at least one segment")]
    Empty,
    /// Too many bytes in all.
    #[error("a path has at most {LONGEST} bytes")]
    TooLong,
    /// Too many segments.
    #[error("a path has at most {DEEPEST} segments")]
    TooDeep,
    /// A segment is too long.
    #[error("a segment of a path has at most {SEGMENT} bytes")]
    LongSegment,
    /// Two slashes, or one at an end.
    #[error("a path has no empty segment, and no slash at its begin or end")]
    EmptySegment,
    /// `.`, `..`, or a hidden name such as `.git`.
    #[error("no segment of a path begins with a dot")]
    Dot,
    /// A character that file systems or readers stumble over.
    #[error("a path has no control or invisible characters, no backslash, and none of < > : \" | ? *")]
    Character,
    /// A segment ends with a dot or has a space at an end.
    #[error("no segment of a path ends with a dot, or begins or ends with a space")]
    Edge,
    /// A name that is a device to some systems, with any extension.
    #[error("{0} is the name of a device on some systems")]
    Device(String),
    /// The API's own name.
    #[error("the path {0} is the API's own")]
    Reserved(String),
}

impl ItemPath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`Invalid`] says why not.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let path = normalise(text)?;
        let folded = fold(&path);
        if folded.len() > FOLDED {
            return Err(Invalid::TooLong);
        }
        if RESERVED.contains(&folded.as_str()) {
            return Err(Invalid::Reserved(path));
        }
        Ok(Self(path))
    }

    /// Returns the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path as a file system without case sees it: two live items never share one.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }

    /// Returns the folders above it, folded: none of them may be an item.
    #[must_use]
    pub fn folded_folders(&self) -> Vec<String> {
        let folded = self.folded();
        folded
            .match_indices('/')
            .filter_map(|(at, _)| folded.get(..at).map(str::to_owned))
            .collect()
    }

    /// Returns the last segment without its extension: a title for who gave none.
    #[must_use]
    pub fn stem(&self) -> &str {
        stem_of(&self.0)
    }

    /// Returns the segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl std::fmt::Display for ItemPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FolderPath {
    /// Returns the folder of everything.
    #[must_use]
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Checks a folder; one slash at its end is fine.
    ///
    /// # Errors
    /// [`Invalid`] says why not.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::root());
        }
        normalise(text).map(Self)
    }

    /// Returns what the paths in it begin with: empty for the root, else with a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!("{}/", self.0)
        }
    }
}

/// Returns the last segment of a path without its extension.
#[must_use]
pub fn stem_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

fn normalise(text: &str) -> Result<String, Invalid> {
    if text.is_empty() {
        return Err(Invalid::Empty);
    }
    // Before the composition, which could be made to work for long.
    if text.len() > LONGEST * 4 {
        return Err(Invalid::TooLong);
    }
    let path: String = text.nfc().collect();
    if path.len() > LONGEST {
        return Err(Invalid::TooLong);
    }
    if path.split('/').count() > DEEPEST {
        return Err(Invalid::TooDeep);
    }
    path.split('/').try_for_each(check_segment)?;
    Ok(path)
}

fn check_segment(segment: &str) -> Result<(), Invalid> {
    if segment.is_empty() {
        return Err(Invalid::EmptySegment);
    }
    if segment.len() > SEGMENT {
        return Err(Invalid::LongSegment);
    }
    if segment.starts_with('.') {
        return Err(Invalid::Dot);
    }
    if segment.contains(is_unwanted) {
        return Err(Invalid::Character);
    }
    if segment.ends_with('.') || segment.starts_with(char::is_whitespace) || segment.ends_with(char::is_whitespace) {
        return Err(Invalid::Edge);
    }
    if is_device(segment) {
        return Err(Invalid::Device(segment.to_owned()));
    }
    Ok(())
}

/// Tells whether Windows takes a name for a device, whatever its case and its extension.
fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end().to_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    DEVICES.contains(&stem.as_str()) || port.is_some_and(|number| PORTS.contains(&number))
}

/// Brings a text into its composed form, as paths are.
#[must_use]
pub fn compose(text: &str) -> String {
    text.nfc().collect()
}

/// Control characters, what file systems do not take, and what cannot be seen: joiners, marks of direction, the byte order mark.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Compatibility form and lower case, until neither changes anything.
fn fold(path: &str) -> String {
    let once = |text: &str| {
        text.nfkc()
            .collect::<String>()
            .to_lowercase()
            .nfkc()
            .collect::<String>()
    };
    let first = once(path);
    once(&first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_are_taken_as_they_are() {
        for path in [
            "a",
            "adrs/0001-use-postgres.md",
            "orgs/ünïcode/Notes on №1.md",
            "a/search",
            "searching",
        ] {
            assert_eq!(ItemPath::parse(path).expect("fine").as_str(), path);
        }
    }

    #[test]
    fn what_climbs_hides_or_cannot_be_a_file_is_refused() {
        let refused = [
            ("", Invalid::Empty),
            ("/etc/passwd", Invalid::EmptySegment),
            ("a//b", Invalid::EmptySegment),
            ("a/", Invalid::EmptySegment),
            ("../../etc/passwd", Invalid::Dot),
            ("a/../b", Invalid::Dot),
            ("a/./b", Invalid::Dot),
            (".git/config", Invalid::Dot),
            ("a\0b", Invalid::Character),
            ("a\\..\\b", Invalid::Character),
            ("a\u{202e}b", Invalid::Character),
            ("a\nb", Invalid::Character),
            ("a./b", Invalid::Edge),
            ("a /b", Invalid::Edge),
        ];
        for (path, why) in refused {
            assert_eq!(ItemPath::parse(path), Err(why), "{path:?}");
        }
        assert_eq!(ItemPath::parse(&"a".repeat(256)), Err(Invalid::LongSegment));
        // One sign that is folded into eighteen.
        let ligatures = vec!["\u{fdfa}".repeat(60); 5].join("/");
        assert_eq!(ItemPath::parse(&ligatures), Err(Invalid::TooLong));
        assert_eq!(ItemPath::parse(&["a"; 33].join("/")), Err(Invalid::TooDeep));
        assert_eq!(
            ItemPath::parse(&vec!["a".repeat(200); 6].join("/")),
            Err(Invalid::TooLong)
        );
    }

    #[test]
    fn what_no_windows_can_hold_is_refused() {
        for path in ["CON", "a/nul.md", "Com1.tar.gz", "lpt\u{b9}", "aux .txt", "conin$"] {
            assert!(matches!(ItemPath::parse(path), Err(Invalid::Device(_))), "{path}");
        }
        for c in ['<', '>', ':', '"', '|', '?', '*'] {
            assert_eq!(ItemPath::parse(&format!("a/b{c}c.md")), Err(Invalid::Character), "{c}");
        }
        for path in ["console", "com", "com10", "auxiliary.md", "null"] {
            assert!(ItemPath::parse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_apis_own_names_are_refused_in_any_case() {
        for path in ["search", "Search", "import", "\u{ff33}earch"] {
            assert!(matches!(ItemPath::parse(path), Err(Invalid::Reserved(_))), "{path}");
        }
    }

    #[test]
    fn two_ways_to_write_a_letter_are_one_path() {
        assert_eq!(ItemPath::parse("cafe\u{301}"), ItemPath::parse("caf\u{e9}"));
    }

    #[test]
    fn paths_that_differ_by_case_or_width_fold_to_one() {
        let folded = |path| ItemPath::parse(path).expect("fine").folded();
        assert_eq!(folded("ADR/One.md"), folded("adr/one.MD"));
        assert_eq!(folded("\u{ff41}dr"), folded("adr"));
    }

    #[test]
    fn the_folders_above_are_named() {
        let path = ItemPath::parse("A/b/c.md").expect("fine");
        assert_eq!(path.folded_folders(), ["a", "a/b"]);
        assert_eq!(path.stem(), "c");
        assert_eq!(FolderPath::parse("A/b/").expect("fine").prefix(), "A/b/");
        assert_eq!(FolderPath::parse("").expect("fine"), FolderPath::root());
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_unchanged_and_stays_below_its_root(text in "\\PC{0,40}|[a./\\\\ ]{0,12}") {
            if let Ok(path) = ItemPath::parse(&text) {
                prop_assert_eq!(&ItemPath::parse(path.as_str()), &Ok(path.clone()));
                prop_assert!(path.segments().all(|s| s != ".." && s != "." && !s.is_empty()));
                prop_assert_eq!(fold(&path.folded()), path.folded());
                let joined = std::path::Path::new("/root").join(path.as_str());
                prop_assert!(joined.starts_with("/root"));
            }
        }
    }
}
