//! Runs the clean-up ledger: bulk deletes happen here and nowhere else.

use std::time::Duration;

use aeterna_kit::ids::TenantId;
use aeterna_projection::store;
use aeterna_tenancy::cleanups::{Cleanup, Run, fetch_due, record_run};
use aeterna_tenancy::shards;

use crate::Result;
use crate::drive::Context;
use crate::error::describe;
use crate::probe::Point;

/// Between two looks at the ledger.
const IDLE: Duration = Duration::from_secs(1);

/// Runs due entries until the process ends.
pub async fn run(context: Context) {
    loop {
        match fetch_due(&context.pool).await {
            Ok(due) => {
                for cleanup in due {
                    if let Err(error) = clean(&context, &cleanup).await {
                        tracing::warn!(cleanup = cleanup.cleanup_id, error = %describe(&error), "a clean-up waits");
                    }
                }
            }
            Err(error) => tracing::warn!(error = %describe(&error), "the clean-up ledger cannot be read"),
        }
        tokio::time::sleep(IDLE).await;
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
