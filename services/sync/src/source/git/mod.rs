//! A git repository: Markdown files of a branch.
//!
//! A run that follows a whole one lists what differs between the two commits. When the old commit is not among those that the
//! new one stands on, history was rewritten: then all files are listed, and what is not among them is gone. The position is
//! the commit and how many of its differences are taken, so a run ends on the commit that it began with, whatever is pushed
//! meanwhile; when that commit is nowhere any more, all files of the new one are listed.

pub mod copies;
mod mirror;
mod transport;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{Found, LARGEST, LONGEST_ID, Listed, PAGE, Page, Unfit, blocking, is_markdown, text_of, too_large};
use crate::connection::Git as Settings;
use crate::job::{Class, Failure};
use crate::outbound::{self, Outbound};
use mirror::Mirror;
use transport::Web;
use tree::{Entry, Kind};

/// Entries of trees that are looked at in any case, wanted or not: about a second's work.
const ENTRIES: u64 = 1_000_000;

/// What a pointer of Git LFS begins with.
const LFS: &str = "version https://git-lfs.github.com/spec/";

/// What is needed to open a repository.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Where copies are kept.
    pub directory: &'a Path,
    /// What asks.
    pub outbound: &'a Outbound,
    /// Whose copy it is.
    pub connection: Uuid,
    /// What to open.
    pub settings: &'a Settings,
    /// What proves who asks.
    pub secret: Option<&'a str>,
    /// Files that may be looked at.
    pub max_items: u64,
    /// Bytes that may be fetched.
    pub max_bytes: u64,
    /// What the last whole run left, where only what changed since has to be looked at.
    pub base: Option<&'a Value>,
    /// Where the run goes on, if it has begun.
    pub position: Option<&'a Value>,
}

/// An open repository, at a commit.
#[derive(Debug)]
pub struct Git {
    mirror: Mirror,
    commit: String,
    base: Option<String>,
    items: Vec<Item>,
    blobs: HashMap<String, tree::Id>,
    vanished: u64,
}

/// A file that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    path: String,
    entry: Option<Entry>,
}

/// What a whole run leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    commit: String,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    commit: String,
    base: Option<String>,
    taken: usize,
}

/// What the listing is of.
#[derive(Debug, Clone)]
struct Wanted {
    copy: PathBuf,
    settings: Settings,
    max_items: u64,
    base: Option<String>,
    position: Option<Position>,
}

/// Says that nobody waits any more when it is dropped.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Git {
    /// Fetches what is new, and lists what has to be looked at.
    ///
    /// # Cancel safety
    /// A fetch that nobody waits for ends at its next step; the copy stays usable.
    ///
    /// # Errors
    /// When the repository does not answer, or holds more than the run may take.
    pub async fn open(opening: Opening<'_>) -> Result<Self, Failure> {
        let url = outbound::parse_url(&opening.settings.url)
            .map_err(|message| Failure::new(Class::Config, "SOURCE_NOT_FOUND", message))?;
        let web = Web {
            runtime: Handle::current(),
            outbound: opening.outbound.clone(),
            url,
            authorization: opening.secret.map(basic).transpose()?,
            left: Arc::new(Mutex::new(opening.max_bytes)),
            failure: Arc::default(),
            moved: None,
        };
        let base = opening
            .base
            .and_then(|state| serde_json::from_value(state.clone()).ok());
        let wanted = Wanted {
            copy: opening.directory.join(format!("{}.git", opening.connection)),
            settings: opening.settings.clone(),
            max_items: opening.max_items,
            base: base.map(|State { commit }| commit),
            position: opening.position.map(position).transpose()?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let abandon = Abandon(Arc::clone(&stop));
        let opened = blocking(move || wanted.open(web, &stop)).await;
        drop(abandon);
        opened
    }

    /// Returns how many files are gone where only changes are listed; nothing where all files are.
    pub fn vanished(&self) -> Option<u64> {
        self.base.is_some().then_some(self.vanished)
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the position is not one of a repository.
    pub fn page(&self, at: Option<&Value>) -> Result<Page, Failure> {
        let at = at.map(position).transpose()?;
        let is_ours = |at: &Position| at.commit == self.commit && at.base == self.base;
        let restarted = at.as_ref().is_some_and(|at| !is_ours(at));
        let taken = at.filter(is_ours).map_or(0, |at| at.taken);
        let rest = self.items.get(taken..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(PAGE));
        let commit = &self.commit;
        let next = (!later.is_empty()).then(|| Position {
            commit: commit.clone(),
            base: self.base.clone(),
            taken: taken + now.len(),
        });
        Ok(Page {
            items: now.iter().map(Item::listed).collect(),
            state: next.is_none().then(|| json!({"commit": commit})),
            next: next.map(|next| json!(next)),
            estimate: u64::try_from(self.items.len()).ok(),
            bytes: 0,
            restarted,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When the copy cannot be read.
    pub async fn read(&self, path: &str) -> Result<Found, Failure> {
        let Some(blob) = self.blobs.get(path).cloned() else {
            return Ok(Found::Gone);
        };
        let mirror = self.mirror.clone();
        let read = blocking(move || mirror.read(&blob, LARGEST)).await?;
        Ok(match read.map(text_of) {
            Ok(Found::Text(text)) if text.starts_with(LFS) => {
                let message = "the file is a pointer of Git LFS; what it points to is not in the repository";
                Found::Unfit(Unfit::new("LFS_POINTER", message))
            }
            Ok(found) => found,
            Err(size) => too_large(size),
        })
    }
}

impl Wanted {
    fn open(&self, web: Web, stop: &AtomicBool) -> Result<Git, Failure> {
        let mirror = Mirror::open(&self.copy, stop)?;
        let listed = self.choose(&mirror, web, stop).and_then(|(commit, base)| {
            let (items, vanished) = self.list(&mirror, &commit, base.as_deref(), stop)?;
            Ok((commit, base, items, vanished))
        });
        if listed.as_ref().is_err_and(|failure| failure.code == "COPY_UNREADABLE") {
            mirror::remove(&self.copy)?;
        }
        let (commit, base, items, vanished) = listed?;
        let blob = |item: &Item| Some((item.path.clone(), item.entry.as_ref()?.id.clone()));
        Ok(Git {
            mirror,
            commit,
            base,
            blobs: items.iter().filter_map(blob).collect(),
            items,
            vanished,
        })
    }

    /// Chooses the commit that is looked at, and the one that it is compared with.
    fn choose(&self, mirror: &Mirror, web: Web, stop: &AtomicBool) -> Result<(String, Option<String>), Failure> {
        let is_here = |position: &Position| {
            let mut commits = position.base.iter().chain([&position.commit]);
            commits.all(|commit| mirror.has(commit))
        };
        let begun = |position: &Position| (position.commit.clone(), position.base.clone());
        if let Some(position) = self.position.as_ref().filter(|position| is_here(position)) {
            return Ok(begun(position));
        }
        let tip = mirror.fetch(web, self.settings.branch.as_deref(), stop)?;
        match &self.position {
            Some(position) if is_here(position) => Ok(begun(position)),
            // What was delivered of a commit that is nowhere any more is found by listing everything.
            Some(_) => Ok((tip, None)),
            None => {
                let base = self.base.clone().filter(|base| mirror.is_ancestor(base, &tip));
                if base.is_none() && self.base.is_some() {
                    tracing::info!(commit = tip, "the history was rewritten: all files are listed");
                }
                Ok((tip, base))
            }
        }
    }

    /// Lists what is gone, then what is new or changed; and counts what is gone and not only moved.
    fn list(
        &self,
        mirror: &Mirror,
        commit: &str,
        base: Option<&str>,
        stop: &AtomicBool,
    ) -> Result<(Vec<Item>, u64), Failure> {
        let path = &self.settings.path;
        let new = mirror.tree(commit, path)?.ok_or_else(|| {
            let message = format!("the commit {commit} has no directory {path:?}");
            Failure::new(Class::Config, "SOURCE_NOT_FOUND", message)
        })?;
        let old = match base {
            Some(base) => mirror.tree(base, path)?,
            None => None,
        };
        // Beside each file that is wanted there may be some that are not.
        let most = self.max_items.saturating_mul(10).max(ENTRIES);
        let found = tree::compare(old.as_ref(), &new, most, |id| {
            if stop.load(Ordering::Relaxed) {
                let message = "nobody waits for the list any more";
                return Err(Failure::new(Class::Transient, "SOURCE_AWAY", message));
            }
            mirror.read_tree(id, is_wanted)
        });
        let too_many = || {
            let message = format!("the repository holds more than {} files", self.max_items);
            Failure::new(Class::Data, "TOO_MANY_ITEMS", message)
        };
        let found = found.map_err(|error| match error {
            tree::Error::Read(failure) => failure,
            tree::Error::TooMany => too_many(),
        })?;
        let vanished = u64::try_from(found.vanished()).unwrap_or(u64::MAX);
        let gone = found.gone.into_keys().map(|path| Item { path, entry: None });
        let put = found.put.into_iter().map(|(path, entry)| Item {
            path,
            entry: Some(entry),
        });
        // What moved by the case of a letter alone leaves its old path before it takes the new one.
        let items: Vec<Item> = gone.chain(put).collect();
        if u64::try_from(items.len()).is_ok_and(|count| count > self.max_items) {
            return Err(too_many());
        }
        Ok((items, vanished))
    }
}

impl Item {
    fn listed(&self) -> Listed {
        let unfit = |code, message: &str| Found::Unfit(Unfit::new(code, message));
        let found = match &self.entry {
            None => Found::Gone,
            Some(_) if self.path.len() > LONGEST_ID => {
                unfit("ID_TOO_LONG", &format!("the path has more than {LONGEST_ID} bytes"))
            }
            Some(_) if self.path.contains(char::REPLACEMENT_CHARACTER) || self.path.chars().any(char::is_control) => {
                unfit("PATH_NOT_TEXT", "the path is not text")
            }
            Some(entry) => match entry.kind {
                Kind::Link => unfit("SYMLINK", "the file is a symbolic link"),
                Kind::Submodule => unfit("SUBMODULE", "this is another repository"),
                Kind::Blob | Kind::Tree => Found::Listed,
            },
        };
        let cut = self.path.floor_char_boundary(LONGEST_ID);
        let (path, _) = self.path.split_at(cut);
        Listed {
            external_id: path.replace('\0', ""),
            version: self.entry.as_ref().map(|entry| entry.id.clone()),
            found,
        }
    }
}

/// Leaves out what is no Markdown, and what begins with a dot.
fn is_wanted(name: &str, kind: Kind) -> bool {
    !name.starts_with('.') && (kind == Kind::Tree || is_markdown(name))
}

fn position(kept: &Value) -> Result<Position, Failure> {
    serde_json::from_value(kept.clone()).map_err(|_| {
        Failure::new(
            Class::Internal,
            "CURSOR_FOREIGN",
            "the cursor is not one of a repository",
        )
    })
}

/// A secret is a token, or a user's name and password with a colon between.
fn basic(secret: &str) -> Result<HeaderValue, Failure> {
    let pair = if secret.contains(':') {
        secret.to_owned()
    } else {
        format!("x-access-token:{secret}")
    };
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| Failure::new(Class::Config, "SECRET_UNFIT", "the secret does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, kind: Kind) -> Listed {
        let id = "1".to_owned();
        let entry = Some(Entry { kind, id });
        let path = path.to_owned();
        Item { path, entry }.listed()
    }

    #[test]
    fn links_submodules_and_paths_that_are_no_text_are_rejected_one_by_one() {
        let code = |listed: Listed| match listed.found {
            Found::Unfit(unfit) => unfit.code,
            Found::Listed | Found::Text(_) | Found::Gone => "none",
        };
        assert_eq!(code(item("a.md", Kind::Blob)), "none");
        assert_eq!(code(item("a.md", Kind::Link)), "SYMLINK");
        assert_eq!(code(item("a.md", Kind::Submodule)), "SUBMODULE");
        assert_eq!(code(item("caf\u{fffd}.md", Kind::Blob)), "PATH_NOT_TEXT");
        assert_eq!(code(item("a\nb.md", Kind::Blob)), "PATH_NOT_TEXT");
        assert_eq!(
            code(item(&format!("{}.md", "ü".repeat(600)), Kind::Blob)),
            "ID_TOO_LONG"
        );
        assert!(item(&"ü".repeat(600), Kind::Blob).external_id.len() <= LONGEST_ID);
    }

    #[test]
    fn a_secret_is_a_token_or_a_pair() {
        let shown = |secret| {
            basic(secret)
                .ok()
                .and_then(|value| value.to_str().ok().map(ToOwned::to_owned))
        };
        assert_eq!(shown("t0ken").as_deref(), Some("Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="));
        assert_eq!(shown("ann:pw").as_deref(), Some("Basic YW5uOnB3"));
        assert!(basic("t0ken").expect("a header").is_sensitive());
    }
}
