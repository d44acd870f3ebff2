//! What a batch reads and writes: intents before, results and cursor after, both under the fence.

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{tenant_tx, timed};

use super::claim::{Fence, hold};
use super::{Error, cannot};
use crate::job::Progress;

/// Who did not take an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuser {
    /// Its source gives nothing that could be delivered; until the source changes it, that stays so.
    Source,
    /// Its target, which may take it later.
    Target,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// The target has this text.
    Delivered {
        /// Its hash.
        content_hash: Vec<u8>,
        /// Its id there.
        target_id: String,
        /// Its version there, where it has versions.
        target_version: Option<String>,
        /// Its version in the source.
        source_version: Option<String>,
    },
    /// The target has it as before.
    Kept {
        /// Its version in the source.
        source_version: Option<String>,
    },
    /// It was met, and nothing was asked of the target.
    Met,
    /// It is no longer in the target.
    Removed,
    /// What crashes may have left of it is no longer in the target; what was delivered before may not be there either.
    Cleared,
    /// It was not taken.
    Rejected {
        /// By whom.
        by: Refuser,
        /// What rejects are told apart by.
        code: String,
        /// A sentence.
        message: String,
        /// The id that the target did not take: nothing is left there under it.
        attempted: Option<String>,
    },
}

/// An item and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its id in the source.
    pub external_id: String,
    /// What became of it.
    pub became: Became,
}

/// What is committed after a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// What became of its items.
    pub settled: &'a [Settled],
    /// What the job has done by now.
    pub progress: &'a Progress,
    /// Where the next batch begins; `None` leaves the cursor where it was.
    pub cursor: Option<&'a serde_json::Value>,
}

/// Records what the target is about to be asked for: pairs of an item and its id there. From here on the connection is no
/// longer what its last whole run left.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn intend(pool: &PgPool, fence: &Fence, intents: &[(&str, &str)]) -> Result<(), Error> {
    let (items, ids): (Vec<&str>, Vec<&str>) = intents.iter().copied().unzip();
    timed("sync_items_intend", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        hold(&mut tx, fence).await?;
        unsettle(&mut tx, &fence.scope, fence.connection).await?;
        sqlx::query(
            "insert into sync.items as i (tenant_id, connection_id, external_id, intended_ids)
             select $1, $2, n.external_id, array[n.id] from unnest($3::text[], $4::text[]) as n(external_id, id)
             on conflict (tenant_id, connection_id, external_id) do update
             set intended_ids = case when excluded.intended_ids <@ i.intended_ids then i.intended_ids
                                     else i.intended_ids || excluded.intended_ids end",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.connection)
        .bind(items)
        .bind(ids)
        .execute(&mut *tx)
        .await
        .map_err(cannot("record intents"))?;
        tx.commit().await.map_err(cannot("record intents"))
    })
    .await
}

/// Commits a batch: results, rejects, progress and cursor, all or nothing.
///
/// # Errors
/// [`Error::Fenced`], or when the database does not answer.
pub async fn commit(pool: &PgPool, fence: &Fence, batch: Batch<'_>) -> Result<(), Error> {
    timed("sync_batch_commit", async {
        let mut tx = tenant_tx(pool, &fence.scope).await?;
        hold(&mut tx, fence).await?;
        if batch
            .settled
            .iter()
            .any(|settled| !matches!(settled.became, Became::Kept { .. } | Became::Met))
        {
            unsettle(&mut tx, &fence.scope, fence.connection).await?;
        }
        for settled in batch.settled {
            settle(&mut tx, fence, settled).await?;
        }
        sqlx::query(
            "update sync.jobs set progress = $3, cursor = coalesce($4, cursor), revision = revision + 1,
                 -- Only a batch that came to its end is a success.
                 failures = case when $4::jsonb is null then failures else '{}' end,
                 lost = case when $4::jsonb is null then lost else 0 end
             where tenant_id = $1 and id = $2",
        )
        .bind(fence.scope.tenant().as_str())
        .bind(fence.job)
        .bind(Json(batch.progress))
        .bind(batch.cursor.map(Json))
        .execute(&mut *tx)
        .await
        .map_err(cannot("move the cursor"))?;
        tx.commit().await.map_err(cannot("commit a batch"))
    })
    .await
}

/// Says that the connection's state is not what is delivered: the next run looks at everything.
pub(super) async fn unsettle(tx: &mut PgConnection, scope: &TenantScope, connection: Uuid) -> Result<(), Error> {
    sqlx::query("update sync.connections set settled = false where tenant_id = $1 and id = $2 and settled")
        .bind(scope.tenant().as_str())
        .bind(connection)
        .execute(tx)
        .await
        .map_err(cannot("unsettle a connection"))?;
    Ok(())
}

async fn settle(tx: &mut PgConnection, fence: &Fence, settled: &Settled) -> Result<(), Error> {
    let (tenant, id) = (fence.scope.tenant().as_str(), settled.external_id.as_str());
    let of_item = |statement: &'static str| sqlx::query(statement).bind(tenant).bind(fence.connection).bind(id);
    match &settled.became {
        Became::Delivered {
            content_hash,
            target_id,
            target_version,
            source_version,
        } => of_item(
            "insert into sync.items (tenant_id, connection_id, external_id, seen_by, content_hash, target_id, source_version,
                 target_version, delivered_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
             on conflict (tenant_id, connection_id, external_id) do update
             set seen_by = $4, content_hash = $5, target_id = $6, source_version = $7, target_version = $8,
                 intended_ids = '{}', delivered_at = clock_timestamp()",
        )
        .bind(fence.job)
        .bind(content_hash)
        .bind(target_id)
        .bind(source_version)
        .bind(target_version),
        Became::Kept { source_version } => of_item(
            "update sync.items set seen_by = $4, source_version = $5
             where tenant_id = $1 and connection_id = $2 and external_id = $3",
        )
        .bind(fence.job)
        .bind(source_version),
        Became::Met => of_item(
            "insert into sync.items (tenant_id, connection_id, external_id, seen_by) values ($1, $2, $3, $4)
             on conflict (tenant_id, connection_id, external_id) do update set seen_by = $4",
        )
        .bind(fence.job),
        Became::Removed => {
            of_item("delete from sync.items where tenant_id = $1 and connection_id = $2 and external_id = $3")
        }
        Became::Cleared => of_item(
            // A crash came between a delivery and its record: the older one may be gone already. Whoever meets the item
            // again delivers it; its id stays known, to be removed.
            "update sync.items set intended_ids = '{}', content_hash = null, source_version = null
             where tenant_id = $1 and connection_id = $2 and external_id = $3",
        ),
        Became::Rejected { attempted, .. } => of_item(
            "insert into sync.items as i (tenant_id, connection_id, external_id, seen_by) values ($1, $2, $3, $4)
             on conflict (tenant_id, connection_id, external_id) do update
             set seen_by = $4, intended_ids = array_remove(i.intended_ids, $5)",
        )
        .bind(fence.job)
        .bind(attempted),
    }
    .execute(&mut *tx)
    .await
    .map_err(cannot("settle an item"))?;
    match &settled.became {
        Became::Cleared | Became::Met => return Ok(()),
        Became::Rejected { by, code, message, .. } => of_item(
            "insert into sync.rejects as r (tenant_id, connection_id, external_id, id, job_id, code, message, by_target)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (tenant_id, connection_id, external_id) do update
             set job_id = $5, code = $6, message = $7, by_target = $8, times = r.times + 1, last_at = now()",
        )
        .bind(Uuid::now_v7())
        .bind(fence.job)
        .bind(code)
        .bind(message)
        .bind(*by == Refuser::Target),
        Became::Delivered { .. } | Became::Kept { .. } | Became::Removed => {
            of_item("delete from sync.rejects where tenant_id = $1 and connection_id = $2 and external_id = $3")
        }
    }
    .execute(tx)
    .await
    .map_err(cannot("settle a reject"))?;
    Ok(())
}
