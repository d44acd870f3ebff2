//! Writes checkpoints of the audit chains that have grown.
//!
//! A chain that no longer has what its last checkpoint knows gets no further one: it would cover up what was done to it.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgPool;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::clock;
use aeterna_kit::hex::hex;
use aeterna_kit::ids::TenantId;

use crate::anchor::Anchor;
use crate::audit::checkpoint::Checkpoint;

use crate::audit::spell_time;
use crate::store::Scoped;
use crate::store::audit::{self, Head};

/// Writes until the process ends.
pub async fn run(pool: PgPool, anchor: Anchor, interval: Duration) {
    let mut written = BTreeMap::new();
    loop {
        if let Err(error) = write(&pool, &anchor, &mut written).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "checkpoints of the audit log could not be written"
            );
        }
        tokio::time::sleep(interval).await;
    }
}

/// One turn. `written` remembers between turns how far each chain is covered. What fails for one tenant is counted in
/// `audit_checkpoints_failed_total` and tried again in the next turn; the others get theirs.
///
/// # Errors
/// When the database does not say which chains there are.
pub async fn write(pool: &PgPool, anchor: &Anchor, written: &mut BTreeMap<String, i64>) -> anyhow::Result<()> {
    for (tenant, head) in audit::fetch_heads(pool).await? {
        if head.seq == 0 || written.get(&tenant) == Some(&head.seq) {
            continue;
        }
        match cover(pool, anchor, &tenant, &head).await {
            Ok(true) => {
                written.insert(tenant, head.seq);
            }
            Ok(false) => {
                metrics::counter!("audit_chain_broken_total").increment(1);
                tracing::error!(tenant, "the audit chain does not have what its last checkpoint knows");
            }
            Err(error) => {
                metrics::counter!("audit_checkpoints_failed_total").increment(1);
                tracing::error!(tenant, error = format!("{error:#}"), "no checkpoint of an audit chain");
            }
        }
    }
    Ok(())
}

/// Writes a checkpoint of a chain that stands, unless its last one is of its head; false when it does not stand.
async fn cover(pool: &PgPool, anchor: &Anchor, tenant: &str, head: &Head) -> anyhow::Result<bool> {
    let Ok(last) = anchor.fetch_last(tenant).await? else {
        return Ok(false);
    };
    let known = last.map(|mark| (mark.seq, mark.hash));
    let end = (head.seq, hex(&head.hash));
    if !stands(pool, tenant, known.iter().chain([&end])).await? {
        return Ok(false);
    }
    if known.as_ref() == Some(&end) {
        return Ok(true);
    }
    let (seq, hash) = end;
    let mark = Checkpoint {
        tenant_id: tenant.to_owned(),
        seq,
        hash,
        at: spell_time(clock::now()),
    };
    anchor.add(&mark).await?;
    // The log is another place that whoever rewrites the database does not reach.
    tracing::info!(tenant, seq = mark.seq, hash = mark.hash, "audit checkpoint");
    Ok(true)
}

/// Tells whether the chain has events: that of its last checkpoint, and the one that its head names.
async fn stands<'a>(
    pool: &PgPool,
    tenant: &str,
    events: impl Iterator<Item = &'a (i64, String)>,
) -> anyhow::Result<bool> {
    let mut tx = Scoped::open(pool, &TenantScope::for_worker(TenantId::parse(tenant)?)).await?;
    for (seq, hash) in events {
        let event = audit::fetch_links(&mut tx, seq - 1, *seq, 1).await?.pop();
        if event.is_none_or(|event| hex(&event.hash) != *hash) {
            return Ok(false);
        }
    }
    Ok(true)
}
