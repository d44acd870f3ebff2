//! Sources: what another system holds, page by page.
//!
//! A source lists items in an order that does not change while nothing else does, so that a position in it means the same
//! after a crash. It may give an item's text with the list, or leave it to be read only when it is needed. What it cannot
//! give as text it lists as unfit: one bad item never ends a run. A source knows no target and no database.

mod directory;

use std::path::PathBuf;

use serde_json::Value;

use aeterna_kit::ids::TenantId;

use crate::connection;
use crate::job::{Class, Failure, Mode, Options};

/// Largest item, in bytes; larger ones are unfit.
pub const LARGEST: u64 = 1 << 20;

/// Items of a page: what one cancellation may have to wait for.
pub const PAGE: usize = 32;

/// Longest id of an item, in bytes: it must fit into an index.
pub const LONGEST_ID: usize = 1_024;

/// An item that cannot be delivered, whatever the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What rejects are told apart by.
    pub code: &'static str,
    /// A sentence for the caller.
    pub message: String,
}

impl Unfit {
    /// Makes one.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// What a source says of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there; its text is read when it is needed.
    Listed,
    /// It is there, with this text.
    Text(String),
    /// It is no longer there.
    Gone,
    /// It is there and cannot be delivered.
    Unfit(Unfit),
}

/// One item of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id in the source.
    pub external_id: String,
    /// What changes when its text does; without one the text is compared.
    pub version: Option<String>,
    /// What the source says of it.
    pub found: Found,
}

/// Some items in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items.
    pub items: Vec<Listed>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Value>,
    /// Items that there are in all, if it can be told.
    pub estimate: Option<u64>,
    /// Bytes that were read for this page, besides the texts that are read later.
    pub bytes: u64,
    /// What the next run should know, on the last page.
    pub state: Option<Value>,
}

/// What a source's silence about an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All items are listed: what is not, is gone.
    Whole,
    /// Only changes are listed.
    Changes {
        /// Items that are gone.
        gone: u64,
    },
}

/// Where sources may read.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The directory that holds one directory a tenant; without it there are no directory sources.
    pub directory_root: Option<PathBuf>,
}

/// What a source is opened for.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What to open.
    pub source: &'a connection::Source,
    /// How much to look at.
    pub mode: Mode,
    /// What else was asked.
    pub options: &'a Options,
}

/// An open source.
#[derive(Debug)]
pub enum Source {
    /// Markdown files of a directory.
    Directory(directory::Directory),
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// When it is not there, or holds more than the run may take.
    pub async fn open(places: &Places, opening: Opening<'_>) -> Result<Self, Failure> {
        let source = match opening.source {
            connection::Source::Directory(settings) => {
                let root = places.tenant_directory(opening.tenant)?;
                let (path, most) = (settings.path.clone(), opening.options.limits.max_items);
                Self::Directory(blocking(move || directory::Directory::open(&root, &path, most)).await?)
            }
        };
        Ok(source)
    }

    /// Tells what silence about an item means.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        match self {
            Self::Directory(_) => Coverage::Whole,
        }
    }

    /// Returns the page at a position; the first one without.
    ///
    /// # Errors
    /// When the source does not answer, or the position is not one of its own.
    pub fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        match self {
            Self::Directory(directory) => directory.page(position),
        }
    }

    /// Reads the text of a listed item.
    ///
    /// # Errors
    /// When the source does not answer.
    pub async fn read(&self, external_id: &str) -> Result<Found, Failure> {
        match self {
            Self::Directory(directory) => {
                let (directory, id) = (directory.clone(), external_id.to_owned());
                blocking(move || Ok(directory.read(&id))).await
            }
        }
    }
}

impl Places {
    /// Tells whether sources of this type can be read here at all.
    #[must_use]
    pub fn has(&self, source: &connection::Source) -> bool {
        match source {
            connection::Source::Directory(_) => self.directory_root.is_some(),
        }
    }

    /// Returns the directory of a tenant: its own below the root, whatever its name is.
    fn tenant_directory(&self, tenant: &TenantId) -> Result<PathBuf, Failure> {
        let root = self.directory_root.as_ref().ok_or_else(|| {
            Failure::new(
                Class::Config,
                "SOURCE_DISABLED",
                "this service has no SYNC_DIRECTORY_ROOT",
            )
        })?;
        below(root, tenant.as_str()).ok_or_else(|| {
            Failure::new(
                Class::Config,
                "SOURCE_DISABLED",
                "a tenant of this name has no directory of its own",
            )
        })
    }
}

/// Joins a single plain segment to a directory.
fn below(root: &std::path::Path, segment: &str) -> Option<PathBuf> {
    let plain = !segment.contains(['/', '\\']) && segment != "." && segment != "..";
    plain.then(|| root.join(segment))
}

/// Runs what waits for a disk where nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Failure::new(
            Class::Internal,
            "SOURCE_FAILED",
            "reading the source failed",
        ))
    })
}

/// Takes bytes as the text of an item.
fn text_of(bytes: Vec<u8>) -> Found {
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Found::Unfit(Unfit::new("NOT_TEXT", "the item holds a NUL byte")),
        Ok(text) if text.trim().is_empty() => Found::Unfit(Unfit::new("EMPTY", "the item is empty")),
        Ok(text) => Found::Text(text),
        Err(error) => {
            let place = error.utf8_error().valid_up_to();
            Found::Unfit(Unfit::new(
                "NOT_UTF8",
                format!("the item is not UTF-8 from byte {place} on"),
            ))
        }
    }
}

/// Says that an item is too large.
fn too_large(bytes: u64) -> Found {
    let message = format!("the item has {bytes} bytes, and may have {LARGEST}");
    Found::Unfit(Unfit::new("TOO_LARGE", message))
}
