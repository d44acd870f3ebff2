//! Sources: what another system holds, page by page.
//!
//! A source lists items in an order that does not change while nothing else does, so that a position in it means the same
//! after a crash. It may give an item's text with the list, or leave it to be read only when it is needed. What it cannot
//! give as text it lists as unfit: one bad item never ends a run. A source knows no target and no database.

mod bucket;
mod directory;
mod feed;
pub mod git;
mod github;
mod http;
mod knowledge;
mod record;
mod sorted;

use std::path::{Path, PathBuf};

use serde_json::Value;

use aeterna_kit::ids::TenantId;

use crate::connection;
use crate::job::{Class, Failure, Mode, Options};
use crate::outbound::{self, Outbound};
use crate::secrets::Secrets;
use crate::target::{For, Services};

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
    /// The source is no longer what it was at the position: this is its first page again, and what was seen before counts
    /// for nothing.
    pub restarted: bool,
}

/// What a source's silence about an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All items are listed: what is not, is gone.
    Whole,
    /// Only changes are listed.
    Changes {
        /// Items that are gone; none where that shows itself only while the list is read.
        gone: Option<u64>,
    },
}

/// Where sources may read.
#[derive(Debug, Clone)]
pub struct Places {
    /// The directory that holds one directory a tenant; without it there are no directory sources.
    pub directory_root: Option<PathBuf>,
    /// The directory of the copies of git repositories.
    pub git_directory: PathBuf,
    /// What asks other systems.
    pub outbound: Outbound,
    /// What proves to them who asks.
    pub secrets: Secrets,
    /// Where knowledge is.
    pub services: Services,
}

/// What a source is opened for.
#[derive(Debug)]
pub struct Opening<'a> {
    /// For whom it is read.
    pub whose: For<'a>,
    /// What to open.
    pub source: &'a connection::Source,
    /// How much to look at.
    pub mode: Mode,
    /// What else was asked.
    pub options: &'a Options,
    /// What the last whole run left, as long as nothing was delivered since.
    pub state: Option<&'a Value>,
    /// Where the run goes on, if it has begun.
    pub position: Option<&'a Value>,
}

impl Opening<'_> {
    /// Returns what the last whole run left, for a run that begins and need not look at everything.
    fn base(&self) -> Option<&Value> {
        let may_skip = self.mode == Mode::Incremental && self.position.is_none() && self.options.only.is_none();
        self.state.filter(|_| may_skip)
    }
}

/// An open source.
#[derive(Debug)]
pub enum Source {
    /// Markdown files of a directory.
    Directory(directory::Directory),
    /// A feed.
    Http(http::Feed),
    /// Markdown files of a git repository.
    Git(Box<git::Git>),
    /// Issues of a repository.
    Github(github::Github),
    /// Markdown objects of a bucket.
    Bucket(bucket::Bucket),
    /// Knowledge that is pointed to.
    Knowledge(knowledge::Knowledge),
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// When it is not there, or holds more than the run may take.
    pub async fn open(places: &Places, opening: Opening<'_>) -> Result<Self, Failure> {
        let secret = match opening.source.secret() {
            Some((name, url)) => {
                let url = outbound::parse_url(url)
                    .map_err(|message| Failure::new(Class::Config, "SOURCE_NOT_FOUND", message))?;
                Some(places.secrets.read_for(opening.whose.tenant, name, &url).await?)
            }
            None => None,
        };
        let source = match opening.source {
            connection::Source::Directory(settings) => {
                let root = places.tenant_directory(opening.whose.tenant)?;
                let (path, most) = (settings.path.clone(), opening.options.limits.max_items);
                Self::Directory(blocking(move || directory::Directory::open(&root, &path, most)).await?)
            }
            connection::Source::HttpNdjson(settings) => {
                let outbound = places.outbound.clone();
                let most = opening.options.limits.max_items;
                Self::Http(http::Feed::open(outbound, settings, secret.as_deref(), opening.base(), most).await?)
            }
            connection::Source::Github(settings) => {
                let (base, position) = (opening.base(), opening.position);
                let outbound = places.outbound.clone();
                Self::Github(github::Github::open(
                    outbound,
                    settings,
                    secret.as_deref(),
                    base,
                    position,
                )?)
            }
            connection::Source::S3(settings) => {
                let (outbound, most) = (places.outbound.clone(), opening.options.limits.max_items);
                Self::Bucket(bucket::Bucket::open(outbound, settings, secret.as_deref(), most).await?)
            }
            connection::Source::KnowledgeToMemory(settings) => {
                let most = opening.options.limits.max_items;
                Self::Knowledge(knowledge::Knowledge::open(&places.services, opening.whose, settings, most).await?)
            }
            connection::Source::Git(settings) => {
                let opening = git::Opening {
                    directory: &places.git_directory,
                    outbound: &places.outbound,
                    connection: opening.whose.connection,
                    settings,
                    secret: secret.as_deref(),
                    max_items: opening.options.limits.max_items,
                    max_bytes: opening.options.limits.max_bytes,
                    base: opening.base(),
                    position: opening.position,
                };
                Self::Git(Box::new(git::Git::open(opening).await?))
            }
        };
        Ok(source)
    }

    /// Tells what silence about an item means.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        match self {
            Self::Http(feed) if feed.is_unchanged() => Coverage::Changes { gone: Some(0) },
            Self::Github(github) if !github.is_whole() => Coverage::Changes { gone: None },
            Self::Git(git) => git
                .vanished()
                .map_or(Coverage::Whole, |gone| Coverage::Changes { gone: Some(gone) }),
            Self::Directory(_) | Self::Http(_) | Self::Github(_) | Self::Bucket(_) | Self::Knowledge(_) => {
                Coverage::Whole
            }
        }
    }

    /// Returns the page at a position; the first one without.
    ///
    /// # Errors
    /// When the source does not answer, or the position is not one of its own.
    pub async fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        match self {
            Self::Directory(directory) => directory.page(position),
            Self::Http(feed) => feed.page(position).await,
            Self::Git(git) => git.page(position),
            Self::Github(github) => github.page(position).await,
            Self::Bucket(bucket) => bucket.page(position),
            Self::Knowledge(knowledge) => knowledge.page(position),
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
            // Their texts come with the list.
            Self::Http(_) | Self::Github(_) => Ok(Found::Gone),
            Self::Git(git) => git.read(external_id).await,
            Self::Bucket(bucket) => bucket.read(external_id).await,
            Self::Knowledge(knowledge) => knowledge.read(external_id).await,
        }
    }
}

impl Places {
    /// Tells whether sources of this type can be read here at all.
    #[must_use]
    pub fn has(&self, source: &connection::Source) -> bool {
        let is_set_up = match source {
            connection::Source::Directory(_) => self.directory_root.is_some(),
            connection::Source::HttpNdjson(_)
            | connection::Source::Git(_)
            | connection::Source::Github(_)
            | connection::Source::S3(_) => true,
            connection::Source::KnowledgeToMemory(_) => self.services.has_knowledge(),
        };
        is_set_up && (source.secret().is_none() || self.secrets.is_set_up())
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
fn below(root: &Path, segment: &str) -> Option<PathBuf> {
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

/// Tells whether a file's name is one of Markdown.
fn is_markdown(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown"))
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

/// Returns the bytes of the texts of a list, which are counted when they are taken.
fn texts(items: &[Listed]) -> u64 {
    let length = |item: &Listed| match &item.found {
        Found::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        Found::Listed | Found::Gone | Found::Unfit(_) => 0,
    };
    items.iter().map(length).sum()
}

/// Says that an item is too large.
fn too_large(bytes: u64) -> Found {
    let message = format!("the item has {bytes} bytes, and may have {LARGEST}");
    Found::Unfit(Unfit::new("TOO_LARGE", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_breaks_is_a_fault_of_ours() {
        let broken = blocking(|| -> Result<(), Failure> { panic!("a bug") })
            .await
            .expect_err("a failure");
        assert_eq!((broken.class, broken.code), (Class::Internal, "SOURCE_FAILED"));
    }
}
