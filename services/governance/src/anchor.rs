//! Checkpoints on disk: one file a tenant. Lines are added; of old ones, every second goes when the file has become long
//! ([`checkpoint::thin`]). No database.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use aeterna_kit::hex::hex;

use crate::audit::checkpoint::{self, Checkpoint, Forged};
use crate::signing::Signer;

/// The last bytes of a file that are read: some lines of a few hundred bytes each. Several, for the last one need not be the
/// highest.
const END: u64 = 4_096;

/// A file of fewer bytes has not so many lines that it would be thinned.
const SHORT: u64 = 512 * 1024;

/// The directory of checkpoints, and the key they are signed with.
#[derive(Debug, Clone)]
pub struct Anchor {
    dir: PathBuf,
    signer: Arc<Signer>,
}

/// What can go wrong with checkpoint files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read the checkpoints in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot add a checkpoint to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The work was lost with its thread.
    #[error("the work on {path} was cut off")]
    Lost {
        /// The file.
        path: PathBuf,
    },
}

impl Anchor {
    /// Names a directory; it is made when the first checkpoint is.
    #[must_use]
    pub fn new(dir: PathBuf, signer: Arc<Signer>) -> Self {
        Self { dir, signer }
    }

    /// Returns the id of the key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.signer.key_id()
    }

    /// Returns a tenant's file. Ids are any text, and case may not matter on a disk, so the name is a hash.
    #[must_use]
    pub fn path_of(&self, tenant: &str) -> PathBuf {
        self.dir.join(format!("{}.ndjson", hex(&Sha256::digest(tenant))))
    }

    /// Reads a tenant's checkpoints, rising; none when there is no file.
    ///
    /// # Errors
    /// [`Error::Read`]; inside, [`Forged`] when a line is not ours.
    pub async fn fetch(&self, tenant: &str) -> Result<Result<Vec<Checkpoint>, Forged>, Error> {
        self.read(tenant, |path| std::fs::read(path)).await
    }

    /// Reads the last of a tenant's checkpoints, and no more of the file than its end.
    ///
    /// # Errors
    /// Those of [`Anchor::fetch`].
    pub async fn fetch_last(&self, tenant: &str) -> Result<Result<Option<Checkpoint>, Forged>, Error> {
        let marks = self.read(tenant, |path| fetch_end(&mut File::open(path)?)).await?;
        Ok(marks.map(|mut marks| marks.pop()))
    }

    /// Reads lines and checks them, beside the runtime.
    async fn read(
        &self,
        tenant: &str,
        read: impl FnOnce(&Path) -> std::io::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Result<Vec<Checkpoint>, Forged>, Error> {
        let path = self.path_of(tenant);
        let (file, signer, tenant) = (path.clone(), Arc::clone(&self.signer), tenant.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let text = read(&file)?;
            Ok(Checkpoint::open_all(&text, &tenant, &signer))
        });
        match opened.await {
            Ok(Ok(marks)) => Ok(marks),
            Ok(Err(error)) if std::io::Error::kind(&error) == std::io::ErrorKind::NotFound => Ok(Ok(Vec::new())),
            Ok(Err(source)) => Err(Error::Read { path, source }),
            Err(_) => Err(Error::Lost { path }),
        }
    }

    /// Adds a checkpoint, on disk when this returns. What a crash left of a last line is cut off first: the new line would be
    /// one with it, and no checkpoint of ours.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub async fn add(&self, mark: &Checkpoint) -> Result<(), Error> {
        let path = self.path_of(&mark.tenant_id);
        let (dir, file, line) = (self.dir.clone(), path.clone(), mark.seal(&self.signer));
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(dir)?;
            // Of several instances one writes at a time; closing gives the lock back. It is not the file's own: that may be
            // another one by the time that the lock is had.
            let lock = open(&file.with_extension("lock"))?;
            lock.lock()?;
            let mut kept = open(&file)?;
            let whole = fetch_whole(&mut kept)?;
            kept.set_len(whole)?;
            kept.write_all(line.as_bytes())?;
            kept.sync_data()?;
            replace_long(&file)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(Error::Write { path, source }),
            Err(_) => Err(Error::Lost { path }),
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    std::fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
}

/// Puts a thinned file in the place of one that has become long. Whoever reads meanwhile reads one or the other.
fn replace_long(path: &Path) -> std::io::Result<()> {
    if std::fs::metadata(path)?.len() < SHORT {
        return Ok(());
    }
    let Some(thinned) = checkpoint::thin(&std::fs::read(path)?) else {
        return Ok(());
    };
    let new = path.with_extension("new");
    std::fs::write(&new, thinned)?;
    File::open(&new)?.sync_all()?;
    std::fs::rename(new, path)
}

/// Returns the last lines of a file: those that are whole within its last bytes.
fn fetch_end(file: &mut File) -> std::io::Result<Vec<u8>> {
    let whole = fetch_whole(file)?;
    let start = whole.saturating_sub(END);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(whole - start).read_to_end(&mut bytes)?;
    if start > 0 {
        let first = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |at| at + 1);
        bytes.drain(..first);
    }
    Ok(bytes)
}

/// Returns how many bytes of a file are whole lines.
fn fetch_whole(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        // A line has a few hundred bytes.
        let start = end.saturating_sub(4096);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&mut *file).take(end - start).read_to_end(&mut bytes)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(last).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: i64) -> Checkpoint {
        Checkpoint {
            tenant_id: "acme".to_owned(),
            seq,
            hash: "00".to_owned(),
            at: "now".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_checkpoint_after_a_torn_line_is_read_back_with_those_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchor = Anchor::new(dir.path().to_owned(), Arc::new(Signer::of_seed([7; 32])));
        let path = anchor.path_of("acme");
        for torn in ["{\"keyId\":\"", &"x".repeat(10_000), "\u{fc}"] {
            let before = anchor.fetch("acme").await.expect("readable").expect("ours");
            let seq = i64::try_from(before.len()).expect("few") + 1;
            anchor.add(&mark(seq)).await.expect("added");
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file");
            // The last one ends within a character.
            let bytes = torn.as_bytes();
            file.write_all(&bytes[..bytes.len() - 1]).expect("written");
        }
        anchor.add(&mark(4)).await.expect("added");
        let seqs = |marks: Vec<Checkpoint>| marks.iter().map(|mark| mark.seq).collect::<Vec<_>>();
        let found = anchor.fetch("acme").await.expect("readable").map(seqs);
        assert_eq!(found, Ok(vec![1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn a_file_of_a_torn_line_alone_begins_anew_and_one_that_is_no_text_is_forged() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchor = Anchor::new(dir.path().to_owned(), Arc::new(Signer::of_seed([7; 32])));
        std::fs::write(anchor.path_of("acme"), "torn").expect("written");
        anchor.add(&mark(1)).await.expect("added");
        assert_eq!(anchor.fetch("acme").await.expect("readable"), Ok(vec![mark(1)]));
        std::fs::write(anchor.path_of("acme"), b"\xff\n").expect("written");
        assert_eq!(anchor.fetch("acme").await.expect("readable"), Err(Forged));
    }

    #[tokio::test]
    async fn the_last_checkpoint_is_read_without_those_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchor = Anchor::new(dir.path().to_owned(), Arc::new(Signer::of_seed([7; 32])));
        let last = async || {
            anchor
                .fetch_last("acme")
                .await
                .expect("readable")
                .map(|mark| mark.map(|mark| mark.seq))
        };
        assert_eq!(last().await, Ok(None));
        // Far before the end, a line that is none: who reads all of the file finds it.
        let path = anchor.path_of("acme");
        std::fs::write(&path, "forged\n").expect("written");
        for seq in (1..=30).chain([29]) {
            anchor.add(&mark(seq)).await.expect("added");
        }
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"torn").expect("written");
        assert_eq!(last().await, Ok(Some(30)));
        assert_eq!(anchor.fetch("acme").await.expect("readable"), Err(Forged));
        std::fs::write(&path, "forged\n").expect("written");
        assert_eq!(last().await, Err(Forged));
    }
}
