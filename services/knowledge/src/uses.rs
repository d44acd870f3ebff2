//! Which items are told together: what contexts were made of, counted while nobody waits for it.
//!
//! A caller's question counts once an hour, however often it is asked. A count that is lost, because the process ends or more
//! contexts are made than can be counted, is one count: nothing else stands on it.

use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tokio::sync::mpsc::{self, Sender};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::tasks;

use crate::by::By;
use crate::store;

/// Items of one context that are counted: the first. Each more adds a pair with all before it.
const COUNTED: usize = 8;

/// Contexts that wait to be counted.
const WAITING: usize = 256;

/// Questions that are remembered, and for how long.
const REMEMBERED: u64 = 10_000;
const ONCE_IN: Duration = Duration::from_secs(3600);

/// Counts what is told together; a clone counts in the same place.
#[derive(Clone)]
pub struct Uses {
    sender: Sender<(TenantScope, Vec<Uuid>)>,
    asked: Cache<[u8; 32], ()>,
}

impl std::fmt::Debug for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uses").finish_non_exhaustive()
    }
}

impl Uses {
    /// Begins to count, until the last clone is gone.
    #[must_use]
    pub fn begin(pool: PgPool) -> Self {
        let (sender, mut receiver) = mpsc::channel::<(TenantScope, Vec<Uuid>)>(WAITING);
        tasks::spawn("uses", async move {
            while let Some((scope, items)) = receiver.recv().await {
                if let Err(error) = store::record_use(&pool, &scope, &items).await {
                    tracing::info!(%error, "a context is not counted");
                }
            }
        });
        let asked = Cache::builder().max_capacity(REMEMBERED).time_to_live(ONCE_IN).build();
        Self { sender, asked }
    }

    /// Counts what a question was answered by, soon or never.
    pub fn count(&self, by: &By, question: &str, mut items: Vec<Uuid>) {
        items.truncate(COUNTED);
        let parts = serde_json::json!([by.scope.tenant().as_str(), by.rights.subject(), question]);
        let entry = self.asked.entry(Sha256::digest(parts.to_string()).into());
        if items.len() < 2 || !entry.or_insert(()).is_fresh() {
            return;
        }
        if self.sender.try_send((by.scope.clone(), items)).is_err() {
            tracing::debug!("a context is not counted: too many are made");
        }
    }
}
