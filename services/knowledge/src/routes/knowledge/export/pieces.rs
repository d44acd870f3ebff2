//! How pages reach a reader that takes its time, or none.
//!
//! A task makes the next page when the last is taken, and hands it over in small pieces. A reader that does not take one in
//! time, or is at it for too long in all, is given up: the task ends with its page and its place, and the reader is told that
//! it has not all. What waits for such a reader is one piece.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use aeterna_kit::tasks;

use super::Place;

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// How long a reader may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a piece.
    one: Duration,
    /// For all of them.
    all: Duration,
}

/// Who takes 100 kB a second has 90 MB in the end.
pub(super) const PATIENCE: Patience = Patience {
    one: Duration::from_secs(30),
    all: Duration::from_secs(900),
};

/// What is handed over.
enum Handed {
    Piece(Bytes),
    /// That was all.
    End,
    Broken(io::Error),
}

/// Sends pages to a reader; the place is held meanwhile.
pub(super) fn send(
    pages: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    place: Place,
    patience: Patience,
) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(1);
    tasks::spawn("export", async move {
        let _place = place;
        if hand_over(pages, &sender, patience).await.is_none() {
            tracing::info!("an export is given up: its reader is gone, or too slow");
        }
    });
    stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Handed::Piece(piece)) => Some((Ok(piece), Some(receiver))),
            Some(Handed::End) => None,
            Some(Handed::Broken(error)) => Some((Err(error), None)),
            None => Some((Err(io::Error::other("it was not read in time")), None)),
        }
    })
}

/// Hands everything over, or nothing more: none says that nobody takes it.
async fn hand_over(
    pages: impl Stream<Item = io::Result<Bytes>>,
    sender: &mpsc::Sender<Handed>,
    patience: Patience,
) -> Option<()> {
    let all = Instant::now() + patience.all;
    let hand = async |handed| {
        let one = Instant::now() + patience.one;
        timeout_at(all.min(one), sender.send(handed)).await.ok()?.ok()
    };
    let mut pages = std::pin::pin!(pages);
    while let Some(page) = pages.next().await {
        match page {
            Ok(mut page) => {
                while !page.is_empty() {
                    // A piece of its own: it does not keep the page.
                    let piece = Bytes::copy_from_slice(&page.split_to(PIECE.min(page.len())));
                    hand(Handed::Piece(piece)).await?;
                }
            }
            Err(error) => return hand(Handed::Broken(error)).await,
        }
    }
    hand(Handed::End).await
}

#[cfg(test)]
mod tests {
    use aeterna_kit::ids::TenantId;

    use super::super::Places;
    use super::*;

    fn pages(sizes: &[usize]) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let pages: Vec<_> = sizes.iter().map(|size| Ok(Bytes::from(vec![1; *size]))).collect();
        stream::iter(pages)
    }

    fn place(places: &Places) -> Place {
        places
            .take(&TenantId::parse("acme").expect("a tenant"))
            .expect("a place")
    }

    #[tokio::test]
    async fn everything_arrives_in_small_pieces_and_the_place_is_given_back() {
        let places = Places::default();
        let pieces = send(pages(&[3 * PIECE + 1, 0, 5]), place(&places), PATIENCE);
        let got: Vec<usize> = pieces.map(|piece| piece.expect("whole").len()).collect().await;
        assert_eq!(got, [PIECE, PIECE, PIECE, 1, 5]);
        while places.taken() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_loses_its_place_and_is_told_so() {
        let places = Places::default();
        let short = Patience {
            one: Duration::from_millis(20),
            ..PATIENCE
        };
        let mut pieces = std::pin::pin!(send(pages(&[4 * PIECE]), place(&places), short));
        while places.taken() > 0 {
            tokio::task::yield_now().await;
        }
        // What was on its way, and then that it is not all.
        assert!(matches!(pieces.next().await, Some(Ok(_))));
        assert!(matches!(pieces.next().await, Some(Err(_))));
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_for_ever_is_given_up_at_last() {
        let places = Places::default();
        let short = Patience {
            all: Duration::from_millis(50),
            ..PATIENCE
        };
        let pieces = send(pages(&[500 * PIECE]), place(&places), short);
        let slow = pieces.then(async |piece| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            piece
        });
        let got: Vec<io::Result<Bytes>> = slow.collect().await;
        assert!(got.last().is_some_and(Result::is_err));
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn what_breaks_is_told_to_the_reader() {
        let broken = pages(&[5]).chain(stream::iter([Err(io::Error::other("gone"))]));
        let got: Vec<io::Result<Bytes>> = send(broken, place(&Places::default()), PATIENCE).collect().await;
        assert!(matches!(got.as_slice(), [Ok(_), Err(_)]));
    }
}
