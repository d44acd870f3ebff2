//! Claims moves and drives them, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use aeterna_tenancy::moves::{LEASE, claim};

use crate::drive::{Context, drive};
use crate::error::describe;

/// Between two looks for a move to claim.
const IDLE: Duration = Duration::from_millis(250);

/// Claims and drives moves until the process ends, at most `concurrency` at a time.
pub async fn run(context: Context, concurrency: usize) {
    let slots = Arc::new(Semaphore::new(concurrency.max(1)));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match claim(&context.pool, LEASE).await {
            Ok(Some(moving)) => {
                let context = context.clone();
                aeterna_kit::tasks::spawn("move", async move {
                    let (move_id, tenant) = (moving.move_id, moving.tenant_id.clone());
                    let ended = drive(&context, moving).await;
                    tracing::debug!(%move_id, tenant, ?ended, "a claim ended");
                    drop(slot);
                });
            }
            Ok(None) => tokio::time::sleep(IDLE).await,
            Err(error) => {
                tracing::warn!(error = %describe(&error), "moves cannot be claimed");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}
