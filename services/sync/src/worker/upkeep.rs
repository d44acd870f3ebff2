//! What is done now and then, by every instance: jobs of long ago are forgotten, and copies of repositories that nobody needs.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::PgPool;

use crate::source::git::copies;
use crate::store;

/// Between two rounds.
const ROUND: Duration = Duration::from_mins(10);

/// Tenants of one look.
const AT_ONCE: i64 = 256;

/// What is kept.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// The truth.
    pub pool: PgPool,
    /// Where the copies are.
    pub copies: PathBuf,
    /// Bytes that all of them may have.
    pub copies_bytes: u64,
    /// Days that a job is kept after its end.
    pub jobs_days: i32,
}

/// Goes its rounds until the process ends.
pub async fn run(upkeep: Upkeep) {
    loop {
        if let Err(error) = upkeep.forget_jobs().await {
            tracing::warn!(%error, "old jobs cannot be forgotten");
        }
        if let Err(error) = upkeep.remove_copies().await {
            tracing::warn!(
                error = format!("{error:#}"),
                "copies of repositories cannot be looked through"
            );
        }
        tokio::time::sleep(ROUND).await;
    }
}

impl Upkeep {
    /// Forgets jobs of long ago; returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_jobs(&self) -> Result<u64, store::Error> {
        let (mut forgotten, mut last) = (0, None);
        loop {
            let tenants = store::fetch_tenants(&self.pool, last.as_ref(), AT_ONCE).await?;
            for tenant in &tenants {
                loop {
                    let piece = store::forget_old_jobs(&self.pool, tenant, self.jobs_days).await?;
                    forgotten += piece;
                    if piece == 0 {
                        break;
                    }
                }
            }
            last = tenants.into_iter().next_back();
            if last.is_none() {
                return Ok(forgotten);
            }
        }
    }

    /// Removes copies of repositories whose connection is gone, and the longest unused where all are too large.
    ///
    /// # Errors
    /// When the database does not answer, or the directory cannot be read.
    pub async fn remove_copies(&self) -> anyhow::Result<()> {
        let directory = self.copies.clone();
        // The copies first: one that is made meanwhile is not among them.
        let all = tokio::task::spawn_blocking(move || copies::list(&directory)).await??;
        if all.is_empty() {
            return Ok(());
        }
        let known = store::retain_connections(&self.pool, &all).await?;
        let (directory, most) = (self.copies.clone(), self.copies_bytes);
        tokio::task::spawn_blocking(move || copies::sweep(&directory, &all, &known, most)).await?;
        Ok(())
    }
}
