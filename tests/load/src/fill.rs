//! Fills a tenant with texts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::client::Client;

/// Requests at the same time.
const AT_ONCE: usize = 64;

/// Stores texts, many at a time, and tells every second how many; returns how long it took.
///
/// The id of a text is fixed by the text: filling twice stores nothing twice.
///
/// # Errors
/// When the service refuses one.
pub async fn fill(client: &Client, texts: &[String], mut tell: impl FnMut(usize)) -> Result<Duration> {
    let started = Instant::now();
    let done = AtomicUsize::new(0);
    let mut running = futures::stream::iter(texts)
        .map(|text| async {
            client.create(id_of(text), text).await?;
            done.fetch_add(1, Ordering::Relaxed);
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE);
    let mut told = Instant::now();
    while let Some(outcome) = running.next().await {
        outcome?;
        if told.elapsed() >= Duration::from_secs(1) {
            tell(done.load(Ordering::Relaxed));
            told = Instant::now();
        }
    }
    Ok(started.elapsed())
}

fn id_of(text: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
