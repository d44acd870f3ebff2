//! Checkpoints on disk: one file a tenant, lines are only added. No database.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::audit::checkpoint::{Checkpoint, Forged};
use crate::audit::hex;
use crate::signing::Signer;

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
        let path = self.path_of(tenant);
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
        let text = match read {
            Ok(Ok(text)) => text,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ok(Vec::new())),
            Ok(Err(source)) => return Err(Error::Read { path, source }),
            Err(_) => return Err(Error::Lost { path }),
        };
        Ok(Checkpoint::open_all(&text, tenant, &self.signer))
    }

    /// Adds a checkpoint, on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub async fn add(&self, mark: &Checkpoint) -> Result<(), Error> {
        let path = self.path_of(&mark.tenant_id);
        let (dir, file, line) = (self.dir.clone(), path.clone(), mark.seal(&self.signer));
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(dir)?;
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
            // One write, so that lines of two instances do not mix.
            file.write_all(line.as_bytes())?;
            file.sync_data()
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(Error::Write { path, source }),
            Err(_) => Err(Error::Lost { path }),
        }
    }
}
