//! An archive on its way in: read while it arrives, on a thread that may wait.

use std::io::{self, Read};

use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use aeterna_kit::problem::{Code, Problem};

use crate::archive::{self, Member, Refused};
use crate::path::FolderPath;

/// Archives that are read at once: each holds up to 24 MiB until it is written. More are told to come back.
pub const AT_ONCE: usize = 4;

/// Pieces of the body that wait for their reader.
const WAITING: usize = 4;

/// Takes a place for an archive, to be held until all of it is stored.
pub(super) fn place(imports: &Semaphore) -> Result<SemaphorePermit<'_>, Problem> {
    imports
        .try_acquire()
        .map_err(|_| Problem::new(Code::Overloaded, "other archives are being read; try again soon"))
}

/// Receives an archive.
pub(super) async fn receive(body: Body, folder: FolderPath) -> Result<Vec<Member>, Problem> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || archive::read(Pieces::new(receiver), &folder));
    let mut stream = body.into_data_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| {
            let detail = "the body could not be read to its end";
            Problem::hiding(Code::InvalidArchive, detail, &error)
        })?;
        // Whoever reads has seen enough: it knows the end of the archive, or why it is refused.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let read = reading
        .await
        .map_err(|error| Problem::hiding(Code::Internal, "the archive could not be read", &error))?;
    read.map_err(|refused: Refused| refused.into())
}

/// Pieces that arrive, as a reader.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Pieces {
    fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        let rest = Bytes::new();
        Self { receiver, rest }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(piece) = self.receiver.blocking_recv() else {
                return Ok(0);
            };
            self.rest = piece;
        }
        let taken = self.rest.split_to(self.rest.len().min(into.len()));
        let (place, _) = into.split_at_mut(taken.len());
        place.copy_from_slice(&taken);
        Ok(taken.len())
    }
}
