//! Runs the clean-up ledger: bulk deletes happen here and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use aeterna_kit::ids::TenantId;
use aeterna_projection::store;
use aeterna_tenancy::cleanups::{Cleanup, Run, fetch_due, record_failure, record_run};
use aeterna_tenancy::shards;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Result;
use crate::drive::Context;
use crate::error::describe;
use crate::probe::Point;

/// Between two looks at the ledger.
const IDLE: Duration = Duration::from_secs(1);

/// Entries that run at the same time: one that waits for its store holds few others.
const CONCURRENCY: usize = 8;

/// Runs due entries until the process ends.
pub async fn run(context: Context) {
    loop {
        match fetch_due(&context.pool).await {
            Ok(due) => {
                let slots = Arc::new(Semaphore::new(CONCURRENCY));
                let mut running = JoinSet::new();
                for cleanup in due {
                    let (context, slots) = (context.clone(), Arc::clone(&slots));
                    running.spawn(async move {
                        let _slot = slots.acquire_owned().await;
                        run_once(&context, &cleanup).await;
                    });
                }
                running.join_all().await;
            }
            Err(error) => tracing::warn!(error = %describe(&error), "the clean-up ledger cannot be read"),
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Runs one entry once; what fails is in the ledger, for the move's status and for the pause until the next run.
pub async fn run_once(context: &Context, cleanup: &Cleanup) {
    let Err(error) = clean(context, cleanup).await else {
        return;
    };
    let error = describe(&error);
    tracing::warn!(cleanup = cleanup.cleanup_id, error, "a clean-up waits");
    if let Err(error) = record_failure(&context.pool, cleanup, &error).await {
        tracing::warn!(error = %describe(&error), "a clean-up's failure cannot be recorded");
    }
}

/// Runs one entry once.
///
/// # Errors
/// Whatever the database or the store answers; the entry stays due.
pub async fn clean(context: &Context, cleanup: &Cleanup) -> Result<()> {
    let run = delete(context, cleanup).await?;
    context.probe.reach(Point::CleanupDeleted).await;
    record_run(&context.pool, cleanup, run).await?;
    tracing::info!(cleanup = cleanup.cleanup_id, shard = %cleanup.shard_id, ?run, "a clean-up ran");
    Ok(())
}

async fn delete(context: &Context, cleanup: &Cleanup) -> Result<Run> {
    let Some(shard) = shards::fetch_shard(&context.pool, &cleanup.shard_id).await? else {
        return Ok(Run::SourceGone);
    };
    if shard.identity != cleanup.shard_identity || shard.state == shards::ShardState::Retired {
        return Ok(Run::SourceGone);
    }
    let tenant = TenantId::parse(cleanup.tenant_id.clone())?;
    let store = context.stores.at(&shard.endpoint)?;
    let generations = cleanup.lowest..=cleanup.generation_bound;
    match store.delete_range(&shard.collection, &tenant, generations).await {
        Ok(()) => Ok(Run::Deleted),
        Err(store::Error::MissingCollection { .. }) => Ok(Run::SourceGone),
        Err(other) => Err(other.into()),
    }
}
