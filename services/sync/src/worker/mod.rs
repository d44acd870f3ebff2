//! Workers: claim jobs and walk each to its end, a bounded number at a time.
//!
//! [`drive`] is one claim: lease, cancellation, and what becomes of the job. `run` is the walk itself: read, clear what
//! crashes left, remove what left the source. `batch` is one batch of it, `deliver` asks the target. [`triggers`] starts jobs
//! whose time has come, and [`upkeep`] forgets what nobody needs.

mod batch;
mod deliver;
mod drive;
mod probe;
mod run;
pub mod triggers;
pub mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, watch};

use crate::source::Places;
use crate::store;
use crate::target::Services;

pub use drive::{Ended, drive};
pub use probe::{POINTS, Point, Probe};

/// How long a claim is good for without a sign of life: three heartbeats may fail, and a request still ends before.
pub const LEASE: Duration = Duration::from_secs(30);

/// Between two looks for a job.
const IDLE: Duration = Duration::from_secs(1);

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The truth.
    pub pool: PgPool,
    /// Where items go.
    pub services: Services,
    /// Where sources may read.
    pub places: Arc<Places>,
    /// Points that tests stop at.
    pub probe: Probe,
    /// Becomes true when the process is about to end: jobs are given back at their next batch.
    pub leaving: watch::Receiver<bool>,
}

/// Claims and drives jobs, one in each of the slots, until the process is about to end.
pub async fn run(context: Context, wake: Arc<Notify>, slots: Arc<Semaphore>, per_tenant: i32) {
    let mut leaving = context.leaving.clone();
    let is_leaving = tokio::select! {
        () = claim_and_drive(&context, wake, slots, per_tenant) => false,
        is_leaving = async { leaving.wait_for(|leaving| *leaving).await.is_ok() } => is_leaving,
    };
    if is_leaving {
        // What runs gives itself back; this task is one that must not end.
        std::future::pending::<()>().await;
    }
}

async fn claim_and_drive(context: &Context, wake: Arc<Notify>, slots: Arc<Semaphore>, per_tenant: i32) {
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match store::claim(&context.pool, LEASE, per_tenant).await {
            Ok(Some(claimed)) => {
                let (context, wake) = (context.clone(), Arc::clone(&wake));
                aeterna_kit::tasks::spawn("job", async move {
                    let fence = claimed.fence.clone();
                    let ended = drive(&context, claimed).await;
                    tracing::info!(job = %fence.job, attempt = fence.attempt, ?ended, "a claim ended");
                    drop(slot);
                    // A place of the tenant is free: its next job need not wait.
                    wake.notify_one();
                });
            }
            Ok(None) => wait(&wake).await,
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                wait(&wake).await;
            }
        }
    }
}

async fn wait(wake: &Notify) {
    // Either is a reason to look again.
    let _ = tokio::time::timeout(IDLE, wake.notified()).await;
}
