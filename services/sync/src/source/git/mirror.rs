//! A repository's copy on this machine: a cache that may be lost at any time.
//!
//! It is fetched into incrementally and never checked out. Nothing of this machine's git configuration is read, no program
//! is started, and one object may not become larger in memory than a limit, whatever it is packed to.
//!
//! One worker at a time has a copy, by a lock that ends with its process. So what a killed fetch left locked inside of the
//! copy belongs to nobody, and is unlocked when the copy is opened.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gix::bstr::ByteSlice as _;
use gix::{ObjectId, ThreadSafeRepository};

use super::copies;
use super::transport::Web;
use super::tree::{Entries, Entry, Id, Kind, Tree};
use crate::job::{Class, Failure};

/// Largest object, in bytes, when it is unpacked.
const LARGEST_OBJECT: u64 = 256 << 20;

/// Fetches after which a copy is made anew: each leaves a pack, and each pack makes every look slower.
const PACKS: usize = 50;

/// How often, and how long after one another, it is tried to have a copy: one that a worker leaves is free at its next step.
const TRIES: (u32, Duration) = (50, Duration::from_millis(100));

/// Where a fetch leaves what it found.
const TIP: &str = "refs/sync/tip";

/// A copy of a repository.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    repository: ThreadSafeRepository,
    /// Ours as long as it is open.
    _lock: Arc<File>,
}

impl Mirror {
    /// Opens the copy in a directory, and makes an empty one where there is none that can be used.
    ///
    /// # Errors
    /// When the directory cannot be written, or somebody else has the copy.
    pub(super) fn open(directory: &Path, stop: &AtomicBool) -> Result<Self, Failure> {
        let lock = Arc::new(lock(directory, stop)?);
        unlock_inside(directory);
        if packs(directory) <= PACKS
            && let Ok(repository) = ThreadSafeRepository::open_opts(directory, options())
        {
            return Ok(Self {
                repository,
                _lock: lock,
            });
        }
        remove(directory)?;
        std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
        let create = gix::create::Options::default();
        let repository = ThreadSafeRepository::init_opts(directory, gix::create::Kind::Bare, create, options())
            .map_err(|error| {
                tracing::warn!(%error, "a copy of a repository cannot be made");
                let message = "the copy of the repository cannot be made: see SYNC_GIT_DIRECTORY";
                Failure::new(Class::Config, "SOURCE_DISABLED", message)
            })?;
        Ok(Self {
            repository,
            _lock: lock,
        })
    }

    /// Fetches a branch, or what the repository's HEAD names; returns its commit.
    ///
    /// # Errors
    /// When the repository does not answer, has no such branch, or sends what cannot be taken.
    pub(super) fn fetch(&self, web: Web, branch: Option<&str>, stop: &AtomicBool) -> Result<Id, Failure> {
        let watched = web.clone();
        self.try_fetch(web, branch, stop).map_err(|error| {
            watched.take_failure().unwrap_or_else(|| {
                tracing::warn!(error = ?error, "a repository cannot be fetched");
                judge(&error, branch)
            })
        })
    }

    fn try_fetch(&self, web: Web, branch: Option<&str>, stop: &AtomicBool) -> gix::Result<Id> {
        let repository = self.repository.to_thread_local();
        let from = branch.map_or_else(|| "HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let url = web.url.to_string();
        let remote = repository
            .remote_at_without_url_rewrite(url.as_str())?
            .with_fetch_tags(gix::remote::fetch::Tags::None)
            .with_refspecs([format!("+{from}:{TIP}").as_str()], gix::remote::Direction::Fetch)?;
        let url = gix::url::parse(url.as_bytes().as_bstr())?;
        let transport =
            gix_transport::client::blocking_io::http::connect_http(web, url, gix_transport::Protocol::V2, false);
        let outcome = remote
            .to_connection_with_transport(transport)
            // What this job may show, it shows by itself; nobody is asked for more.
            .with_credentials(|_| Ok(None))
            .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())?
            .receive(gix::progress::Discard, stop)?;
        let found = outcome
            .ref_map
            .mappings
            .iter()
            .find_map(|mapping| mapping.remote.as_id());
        let found = found.ok_or_else(|| gix::Error::from_error(std::io::Error::other("no ref was found")))?;
        Ok(found.to_hex().to_string())
    }

    /// Tells whether a commit is here.
    pub(super) fn has(&self, commit: &str) -> bool {
        id(commit).is_some_and(|id| self.repository.to_thread_local().find_commit(id).is_ok())
    }

    /// Tells whether a commit is among those that another one stands on.
    pub(super) fn is_ancestor(&self, old: &str, new: &str) -> bool {
        let (Some(old), Some(new)) = (id(old), id(new)) else {
            return false;
        };
        let repository = self.repository.to_thread_local();
        repository
            .merge_base(old, new)
            .is_ok_and(|base| base.is_some_and(|base| base.detach() == old))
    }

    /// Returns the tree of a directory in a commit; nothing where the commit has no such directory.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub(super) fn tree(&self, commit: &str, path: &str) -> Result<Option<Id>, Failure> {
        let repository = self.repository.to_thread_local();
        let commit = id(commit).ok_or_else(|| unreadable("a commit"))?;
        let commit = repository.find_commit(commit).map_err(|_| unreadable("a commit"))?;
        let tree = commit.tree().map_err(|_| unreadable("a tree"))?;
        if path.is_empty() {
            return Ok(Some(tree.id.to_hex().to_string()));
        }
        let entry = tree.lookup_entry_by_path(path).map_err(|_| unreadable("a tree"))?;
        let directory = entry.filter(|entry| entry.mode().is_tree());
        Ok(directory.map(|entry| entry.object_id().to_hex().to_string()))
    }

    /// Reads the entries of a tree that somebody wants.
    ///
    /// # Errors
    /// When it is not here, or is none.
    pub(super) fn read_tree(&self, tree: &Id, is_wanted: impl Fn(&str, Kind) -> bool) -> Result<Tree, Failure> {
        let repository = self.repository.to_thread_local();
        let tree = id(tree).ok_or_else(|| unreadable("a tree"))?;
        let tree = repository.find_tree(tree).map_err(|_| unreadable("a tree"))?;
        let (mut entries, mut raw) = (Entries::new(), 0);
        for entry in tree.iter() {
            raw += 1;
            let entry = entry.map_err(|_| unreadable("a tree"))?;
            let mode = entry.mode();
            let kind = if mode.is_tree() {
                Kind::Tree
            } else if mode.is_link() {
                Kind::Link
            } else if mode.is_commit() {
                Kind::Submodule
            } else {
                Kind::Blob
            };
            let name = entry.filename().to_str_lossy();
            if is_wanted(&name, kind) {
                let id = entry.object_id().to_hex().to_string();
                entries.insert(name.into_owned(), Entry { kind, id });
            }
        }
        Ok(Tree { entries, raw })
    }

    /// Reads a file, unless it is larger than `most`; then its size is the error's.
    ///
    /// # Errors
    /// The size of a file that is too large, or the failure of one that is not here.
    pub(super) fn read(&self, blob: &str, most: u64) -> Result<Result<Vec<u8>, u64>, Failure> {
        let repository = self.repository.to_thread_local();
        let blob = id(blob).ok_or_else(|| unreadable("a file"))?;
        let header = repository.find_header(blob).map_err(|_| unreadable("a file"))?;
        if header.size() > most {
            return Ok(Err(header.size()));
        }
        let mut blob = repository.find_blob(blob).map_err(|_| unreadable("a file"))?;
        Ok(Ok(blob.take_data()))
    }
}

/// Removes a copy that cannot be used; the next fetch makes it anew.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn remove(directory: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(directory, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes the lock of a copy, which lies beside it: the copy may be removed.
fn lock(directory: &Path, stop: &AtomicBool) -> Result<File, Failure> {
    let path = directory.with_extension("lock");
    let failed = |error: &std::io::Error| unwritable(directory, error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|error| failed(&error))?;
    let (tries, pause) = TRIES;
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => {
                copies::touch(&file);
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
            Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => break,
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
        }
    }
    let message = "another worker has the copy of the repository";
    Err(Failure::new(Class::Transient, "COPY_IN_USE", message))
}

/// Removes the locks that a killed fetch left in a copy. What cannot be removed shows itself in the fetch.
fn unlock_inside(directory: &Path) {
    let mut left = vec![directory.join("refs")];
    let here = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut locks: Vec<PathBuf> = here.map(|entry| entry.path()).filter(|path| is_lock(path)).collect();
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if is_lock(&path) {
                locks.push(path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(path);
            }
        }
    }
    for lock in locks {
        tracing::info!(lock = %lock.display(), "a killed fetch left a lock");
        if let Err(error) = std::fs::remove_file(&lock) {
            tracing::warn!(lock = %lock.display(), %error, "a lock stays");
        }
    }
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
}

fn options() -> gix::open::Options {
    gix::open::Options::isolated().config_overrides([
        format!("gitoxide.objects.allocLimit={LARGEST_OBJECT}"),
        // A machine that works on several jobs has no core to spare for one of them.
        "pack.threads=1".to_owned(),
    ])
}

fn packs(directory: &Path) -> usize {
    let is_pack = |path: PathBuf| path.extension().is_some_and(|extension| extension == "pack");
    std::fs::read_dir(directory.join("objects/pack")).map_or(0, |entries| {
        entries.flatten().filter(|entry| is_pack(entry.path())).count()
    })
}

fn id(hex: &str) -> Option<ObjectId> {
    ObjectId::from_hex(hex.as_bytes()).ok()
}

fn unwritable(directory: &Path, error: &std::io::Error) -> Failure {
    tracing::warn!(directory = %directory.display(), %error, "copies of repositories cannot be kept");
    let message = "the directory of the copies cannot be written: see SYNC_GIT_DIRECTORY";
    Failure::new(Class::Transient, "SOURCE_FAILED", message)
}

fn unreadable(what: &str) -> Failure {
    let message = format!("{what} of the repository's copy cannot be read");
    Failure::new(Class::Transient, "COPY_UNREADABLE", message)
}

/// Tells what an error of the library means that was not the network's.
fn judge(error: &gix::Error, branch: Option<&str>) -> Failure {
    let said = format!("{error:?}");
    let missing = branch.map_or_else(
        || "the repository has no commit".to_owned(),
        |branch| format!("the repository has no branch {branch:?}"),
    );
    if said.contains("matched any of the") || said.contains("no ref was found") {
        Failure::new(Class::Config, "SOURCE_NOT_FOUND", missing)
    } else if said.contains("lock for resource") || said.contains("PermanentlyLocked") || said.contains("Os {") {
        // This machine's disk, not the repository: the copy is made anew.
        unreadable("a file")
    } else if said.contains("smart") {
        Failure::new(Class::Config, "SOURCE_STRANGE", "there is no git repository at the URL")
    } else {
        Failure::new(
            Class::Data,
            "REPOSITORY_UNREADABLE",
            "the repository sends what cannot be taken",
        )
    }
}
