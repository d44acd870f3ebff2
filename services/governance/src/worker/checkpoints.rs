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

/// Writes a checkpoint of a chain that stands; false when it does not.
async fn cover(pool: &PgPool, anchor: &Anchor, tenant: &str, head: &Head) -> anyhow::Result<bool> {
    if !stands(pool, anchor, tenant, head).await? {
        return Ok(false);
    }
    let mark = Checkpoint {
        tenant_id: tenant.to_owned(),
        seq: head.seq,
        hash: hex(&head.hash),
        at: spell_time(clock::now()),
    };
    anchor.add(&mark).await?;
    // The log is another place that whoever rewrites the database does not reach.
    tracing::info!(tenant, seq = mark.seq, hash = mark.hash, "audit checkpoint");
    Ok(true)
}

/// Tells whether the chain still has the event of its last checkpoint, and the one that its head names.
async fn stands(pool: &PgPool, anchor: &Anchor, tenant: &str, head: &Head) -> anyhow::Result<bool> {
    let Ok(marks) = anchor.fetch(tenant).await? else {
        return Ok(false);
    };
    let mut tx = Scoped::open(pool, &TenantScope::for_worker(TenantId::parse(tenant)?)).await?;
    let known = marks.last().map(|mark| (mark.seq, mark.hash.clone()));
    for (seq, hash) in known.into_iter().chain([(head.seq, hex(&head.hash))]) {
        let event = audit::fetch_links(&mut tx, seq - 1, seq, 1).await?.pop();
        if event.is_none_or(|event| hex(&event.hash) != hash) {
            return Ok(false);
        }
    }
    Ok(true)
}
