//! Deletes memories whose time is over, through the same door as everybody else.
//!
//! Reads hide such a memory from the moment on; the sweeper makes its tombstone and its marker, so that liveness is the
//! row's state and a mover need not know the time.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_projection::truth::{Kind, WriteItem};

use crate::state::State;

/// Between two looks.
const IDLE: Duration = Duration::from_secs(5);

/// Memories of one look.
const LIMIT: i64 = 500;

/// Sweeps until the process ends.
pub async fn run(state: State) {
    loop {
        let expired = match fetch_expired(&state.pool).await {
            Ok(expired) => expired,
            Err(error) => {
                tracing::warn!(%error, "expired memories cannot be looked for");
                Vec::new()
            }
        };
        let full = i64::try_from(expired.len()).is_ok_and(|count| count == LIMIT);
        let mut progress = false;
        for (tenant, id) in expired {
            let Ok(tenant) = TenantId::parse(tenant) else { continue };
            let scope = TenantScope::for_worker(tenant);
            let item = WriteItem::bare(Kind::Expire, id);
            match state.writer.write(&scope, &state.model_of(&scope), item).await {
                Ok(_) => progress = true,
                // A tenant at its cutover, or one that takes no writes: the next look finds the memory again.
                Err(error) => tracing::debug!(%error, "an expired memory waits"),
            }
        }
        if !full || !progress {
            tokio::time::sleep(IDLE).await;
        }
    }
}

async fn fetch_expired(pool: &PgPool) -> anyhow::Result<Vec<(String, Uuid)>> {
    let mut tx = aeterna_kit::db::begin(pool).await?;
    // A role that sees ids and times, and no content.
    sqlx::query("set local role aeterna_sweeper").execute(&mut *tx).await?;
    let expired = sqlx::query_as(
        "select tenant_id, id from memory.memories
         where state = 'live' and expires_at is not null and expires_at <= now() order by expires_at limit $1",
    )
    .bind(LIMIT)
    .fetch_all(&mut *tx)
    .await?;
    Ok(expired)
}
