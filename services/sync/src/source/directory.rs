//! A directory of Markdown.
//!
//! Files are listed in the order of their paths; the position is the path of the last one. Nothing outside of the directory
//! is read: a link is followed only where it leads to a file inside, and what was opened is looked at again after it was
//! opened, so a link that is changed in between opens nothing. Files and directories that begin with a dot are left out.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{Found, LARGEST, LONGEST_ID, Listed, Page, Unfit, is_markdown, sorted, text_of, too_large};
use crate::job::{Class, Failure};

/// Deepest nesting that is walked.
const DEEPEST: usize = 32;

/// An open directory: what it held when it was opened.
#[derive(Debug, Clone)]
pub struct Directory {
    base: PathBuf,
    entries: Arc<Vec<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    path: String,
    version: Option<String>,
    unfit: Option<(&'static str, String)>,
}

impl Directory {
    /// Lists a directory below the tenant's root.
    ///
    /// # Errors
    /// When it is not there, leads outside, or holds more than `most` files.
    pub fn open(root: &Path, path: &str, most: u64) -> Result<Self, Failure> {
        let missing = |_| {
            let message = format!("there is no directory {path:?} below the tenant's own");
            Failure::new(Class::Config, "SOURCE_NOT_FOUND", message)
        };
        let root = root.canonicalize().map_err(missing)?;
        let base = root.join(path).canonicalize().map_err(missing)?;
        if !base.starts_with(&root) || !base.is_dir() {
            return Err(missing(std::io::ErrorKind::NotFound.into()));
        }
        let mut walk = Walk {
            base: &base,
            entries: Vec::new(),
            most,
        };
        walk.visit(&base, "", 0)?;
        let mut entries = walk.entries;
        entries.sort();
        Ok(Self {
            base,
            entries: Arc::new(entries),
        })
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the position is not a path.
    pub fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        sorted::page(
            "a directory",
            &self.entries,
            position,
            |entry| &entry.path,
            Entry::listed,
        )
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, path: &str) -> Found {
        match self.try_read(path) {
            Ok(found) => found,
            // Between the list and now: the next run will not find it either.
            Err(error) if is_gone(&error) => Found::Gone,
            Err(error) => Found::Unfit(Unfit::new(
                "UNREADABLE",
                format!("the file cannot be read: {}", error.kind()),
            )),
        }
    }

    fn try_read(&self, path: &str) -> std::io::Result<Found> {
        let mut file = File::open(self.base.join(path))?;
        // What is open now is what is judged: a name can be changed between two looks, an open file cannot.
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        if !opened.starts_with(&self.base) {
            return Ok(Found::Unfit(outside()));
        }
        let length = file.metadata()?.len();
        if length > LARGEST {
            return Ok(too_large(length));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(LARGEST + 1).read_to_end(&mut bytes)?;
        // It grew while it was read.
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
            return Ok(too_large(LARGEST + 1));
        }
        Ok(text_of(bytes))
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn outside() -> Unfit {
    Unfit::new("SYMLINK_OUTSIDE", "the link leads out of the directory")
}

impl Entry {
    fn listed(&self) -> Listed {
        let found = match &self.unfit {
            Some((code, message)) => Found::Unfit(Unfit::new(code, message.clone())),
            None => Found::Listed,
        };
        Listed {
            external_id: self.path.clone(),
            version: self.version.clone(),
            found,
        }
    }
}

struct Walk<'a> {
    base: &'a Path,
    entries: Vec<Entry>,
    most: u64,
}

impl Walk<'_> {
    fn visit(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), Failure> {
        let unreadable = |error: std::io::Error| {
            let message = format!("the directory {prefix:?} cannot be read: {}", error.kind());
            Failure::new(Class::Config, "SOURCE_UNREADABLE", message)
        };
        let entries = match std::fs::read_dir(directory) {
            // Between the list of the directory above and now.
            Err(error) if is_gone(&error) && depth > 0 => return Ok(()),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let (name, is_text) = (name.to_string_lossy(), name.to_str().is_some());
            // A name with a dot in front is somebody's own business.
            if name.starts_with('.') {
                continue;
            }
            let name = name.as_ref();
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            let kind = match entry.file_type() {
                Err(error) if is_gone(&error) => continue,
                kind => kind.map_err(unreadable)?,
            };
            if !is_text && (kind.is_dir() || is_markdown(name)) {
                let message = "the name is not UTF-8".to_owned();
                self.push(path, None, Some(("PATH_NOT_TEXT", message)))?;
            } else if kind.is_dir() && depth >= DEEPEST {
                let message = format!("the directory is more than {DEEPEST} deep, and is not looked into");
                self.push(path, None, Some(("TOO_DEEP", message)))?;
            } else if kind.is_dir() {
                self.visit(&entry.path(), &path, depth + 1)?;
            } else if kind.is_file() && is_markdown(name) {
                self.add(path, &entry.path())?;
            } else if kind.is_symlink() {
                self.add_link(path, &entry.path())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, place: &Path) -> Result<(), Failure> {
        let version = std::fs::metadata(place).ok().map(|meta| {
            // A file that is replaced by another of the same size within one tick of the clock has another inode.
            format!("{}.{}:{}:{}", meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino())
        });
        self.push(path, version, None)
    }

    fn add_link(&mut self, path: String, place: &Path) -> Result<(), Failure> {
        match place.canonicalize() {
            Ok(target) if !target.starts_with(self.base) => {
                let Unfit { code, message } = outside();
                self.push(path, None, Some((code, message)))
            }
            Ok(target) if target.is_file() && is_markdown(&path) => self.add(path, place),
            Err(_) if is_markdown(&path) => {
                let broken = ("UNREADABLE", "the link leads nowhere, or to itself".to_owned());
                self.push(path, None, Some(broken))
            }
            // A directory inside is walked under its own name, which also ends every loop.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn push(
        &mut self,
        path: String,
        version: Option<String>,
        unfit: Option<(&'static str, String)>,
    ) -> Result<(), Failure> {
        if u64::try_from(self.entries.len()).is_ok_and(|count| count >= self.most) {
            let message = format!("the directory holds more than {} files", self.most);
            return Err(Failure::new(Class::Data, "TOO_MANY_ITEMS", message));
        }
        let (path, unfit) = if path.len() > LONGEST_ID {
            let cut = path.floor_char_boundary(LONGEST_ID);
            let (cut, _) = path.split_at(cut);
            let reason = ("ID_TOO_LONG", format!("the path has more than {LONGEST_ID} bytes"));
            (cut.to_owned(), Some(reason))
        } else {
            (path, unfit)
        };
        self.entries.push(Entry { path, version, unfit });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::PAGE;
    use super::*;

    /// A tenant's root with a directory `docs` in it, and beside the root something that nobody may read.
    fn ground() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("root/docs/deep")).expect("made");
        std::fs::write(dir.path().join("secret.md"), "a secret").expect("written");
        let root = dir.path().join("root");
        (dir, root)
    }

    fn open(root: &Path) -> Directory {
        Directory::open(root, "docs", 100).expect("it is there")
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.items.iter().map(|item| item.external_id.as_str()).collect()
    }

    fn code(found: &Found) -> Option<&'static str> {
        match found {
            Found::Unfit(unfit) => Some(unfit.code),
            Found::Listed | Found::Text(_) | Found::Gone => None,
        }
    }

    #[test]
    fn markdown_is_listed_in_the_order_of_paths_and_nothing_else_is() {
        let (_dir, root) = ground();
        for name in ["b.md", "a.markdown", "deep/c.MD", "x.txt", ".hidden.md"] {
            std::fs::write(root.join("docs").join(name), "text").expect("written");
        }
        let directory = open(&root);
        let page = directory.page(None).expect("a page");
        assert_eq!(ids(&page), ["a.markdown", "b.md", "deep/c.MD"]);
        assert_eq!((page.next, page.estimate), (None, Some(3)));
        assert_eq!(directory.read("b.md"), Found::Text("text".to_owned()));
    }

    #[test]
    fn a_position_means_the_same_when_files_came_and_went() {
        let (_dir, root) = ground();
        let file = |n: usize| root.join(format!("docs/{n:03}.md"));
        for n in 0..PAGE + 5 {
            std::fs::write(file(n), "text").expect("written");
        }
        let first = open(&root).page(None).expect("a page");
        let position = first.next.expect("there is more");
        std::fs::remove_file(file(PAGE - 1)).expect("removed");
        std::fs::write(root.join("docs/000a.md"), "late").expect("written");
        let second = open(&root).page(Some(&position)).expect("a page");
        assert_eq!(ids(&second).first(), Some(&"032.md"));
        assert_eq!((second.items.len(), second.next), (5, None));
        assert!(open(&root).page(Some(&serde_json::json!(7))).is_err());
    }

    #[test]
    fn no_link_leads_out() {
        let (dir, root) = ground();
        let docs = root.join("docs");
        std::fs::write(docs.join("real.md"), "inside").expect("written");
        symlink(dir.path().join("secret.md"), docs.join("out.md")).expect("linked");
        symlink(dir.path(), docs.join("outside")).expect("linked");
        symlink("real.md", docs.join("in.md")).expect("linked");
        symlink("loop.md", docs.join("loop.md")).expect("linked");
        symlink("../..", docs.join("deep/up")).expect("linked");
        let directory = open(&root);
        let page = directory.page(None).expect("a page");
        assert_eq!(
            ids(&page),
            ["deep/up", "in.md", "loop.md", "out.md", "outside", "real.md"]
        );
        let codes: Vec<_> = page.items.iter().map(|item| code(&item.found)).collect();
        let outside = Some("SYMLINK_OUTSIDE");
        assert_eq!(codes, [outside, None, Some("UNREADABLE"), outside, outside, None]);
        assert_eq!(directory.read("in.md"), Found::Text("inside".to_owned()));
    }

    #[test]
    fn what_is_too_deep_or_has_a_name_that_is_no_text_is_told() {
        use std::os::unix::ffi::OsStrExt as _;

        let (_dir, root) = ground();
        let deep = root.join("docs").join(["d"; DEEPEST].join("/"));
        std::fs::create_dir_all(deep.join("deeper")).expect("made");
        std::fs::write(deep.join("a.md"), "text").expect("written");
        std::fs::write(deep.join("deeper/b.md"), "text").expect("written");
        for name in [&b"caf\xe9.md"[..], b"caf\xe9.png"] {
            std::fs::write(root.join("docs").join(std::ffi::OsStr::from_bytes(name)), "text").expect("written");
        }
        let page = open(&root).page(None).expect("a page");
        let found: Vec<_> = page
            .items
            .iter()
            .map(|item| (item.external_id.len(), code(&item.found)))
            .collect();
        let bottom = 2 * DEEPEST;
        assert_eq!(
            found,
            [
                ("caf\u{fffd}.md".len(), Some("PATH_NOT_TEXT")),
                (bottom + "a.md".len(), None),
                (bottom + "deeper".len(), Some("TOO_DEEP")),
            ]
        );
    }

    #[test]
    fn a_directory_that_vanishes_while_it_is_walked_is_empty_and_the_one_that_was_asked_for_is_missed() {
        let (_dir, root) = ground();
        let base = root.canonicalize().expect("it is there");
        let mut walk = Walk {
            base: &base,
            entries: Vec::new(),
            most: 10,
        };
        assert!(walk.visit(&base.join("gone"), "gone", 1).is_ok() && walk.entries.is_empty());
        let missed = walk.visit(&base.join("gone"), "", 0).expect_err("a failure");
        assert_eq!(missed.code, "SOURCE_UNREADABLE");
    }

    #[test]
    fn a_file_that_became_a_link_after_the_list_is_not_read() {
        let (dir, root) = ground();
        let file = root.join("docs/a.md");
        std::fs::write(&file, "inside").expect("written");
        let directory = open(&root);
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(directory.read("a.md"), Found::Gone);
        symlink(dir.path().join("secret.md"), &file).expect("linked");
        assert_eq!(code(&directory.read("a.md")), Some("SYMLINK_OUTSIDE"));
    }

    #[test]
    fn what_is_no_text_too_large_or_empty_is_unfit() {
        let (_dir, root) = ground();
        let large = vec![b'x'; 1 << 20];
        let larger = vec![b'x'; (1 << 20) + 1];
        let cases: [(&str, &[u8], Option<&str>); 5] = [
            ("latin.md", b"caf\xe9", Some("NOT_UTF8")),
            ("nul.md", b"a\0b", Some("NOT_TEXT")),
            ("empty.md", b" \n", Some("EMPTY")),
            ("large.md", &large, None),
            ("larger.md", &larger, Some("TOO_LARGE")),
        ];
        for (name, bytes, expected) in cases {
            std::fs::write(root.join("docs").join(name), bytes).expect("written");
            assert_eq!(code(&open(&root).read(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_or_holds_too_much_is_a_failure() {
        let (_dir, root) = ground();
        std::fs::write(root.join("docs/a.md"), "a").expect("written");
        std::fs::write(root.join("docs/b.md"), "b").expect("written");
        let failed = |path, most| Directory::open(&root, path, most).expect_err("a failure").code;
        assert_eq!(failed("nowhere", 100), "SOURCE_NOT_FOUND");
        assert_eq!(failed("../..", 100), "SOURCE_NOT_FOUND");
        assert_eq!(failed("docs/a.md", 100), "SOURCE_NOT_FOUND");
        assert_eq!(failed("docs", 1), "TOO_MANY_ITEMS");
    }
}
