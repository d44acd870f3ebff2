//! Notices requests whose time is over. They are refused from that moment on whether this runs or not.

use std::time::Duration;

use serde_json::Map;
use sqlx::PgPool;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;

use crate::approval::Command;
use crate::audit::{Actor, Event, Outcome};
use crate::store::approvals::{self, Name};
use crate::store::{self, Scoped};

/// Between two passes.
const IDLE: Duration = Duration::from_secs(15);

/// Requests that a pass fetches at a time.
pub const PAGE: i64 = 500;

/// Looks until the process ends.
pub async fn run(pool: PgPool) {
    loop {
        if let Err(error) = expire(&pool, PAGE).await {
            tracing::warn!(error = format!("{error:#}"), "expired requests could not be looked for");
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// What came of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Requests whose time was over.
    pub found: usize,
    /// Those of them that could not be marked; they are found again.
    pub failed: usize,
}

/// One pass over all requests whose time is over, page by page. What fails for one request is counted in
/// `approvals_expiry_failed_total` and tried again in the next pass; this one goes on behind it, so that those that always fail
/// keep no others waiting.
///
/// # Errors
/// When the database does not say which requests there are.
pub async fn expire(pool: &PgPool, page: i64) -> anyhow::Result<Look> {
    let mut look = Look { found: 0, failed: 0 };
    let mut last = None;
    loop {
        let requests = approvals::fetch_expired(pool, last.take(), page).await?;
        for (_, tenant, id) in &requests {
            look.found += 1;
            look.failed += usize::from(!try_to_mark(pool, tenant, *id).await);
        }
        match requests.into_iter().last() {
            Some(seen) => last = Some(seen),
            None => return Ok(look),
        }
    }
}

/// Marks a request, and tells whether that could be done.
async fn try_to_mark(pool: &PgPool, tenant: &str, id: Uuid) -> bool {
    let Err(error) = mark(pool, tenant, id).await else {
        return true;
    };
    metrics::counter!("approvals_expiry_failed_total").increment(1);
    tracing::error!(tenant, request = %id, error = format!("{error:#}"), "an expired request could not be marked");
    false
}

async fn mark(pool: &PgPool, tenant: &str, id: Uuid) -> anyhow::Result<()> {
    let mut tx = Scoped::open(pool, &TenantScope::for_worker(TenantId::parse(tenant)?)).await?;
    let Some((stored, _)) = approvals::lock(&mut tx, &Name::Id(id)).await? else {
        return Ok(());
    };
    let now = approvals::fetch_now(&mut tx).await?;
    // Somebody may have been quicker.
    let Ok(change) = stored.core.react(&Command::Expire, &|_| Vec::new(), now) else {
        return Ok(());
    };
    approvals::follow(&mut tx, id, &change, None).await?;
    let event = Event {
        actor: Actor::system(),
        action: "approval.expire".to_owned(),
        target: ("Approval", id.to_string()),
        outcome: Outcome::Allow,
        decision_id: None,
        details: Map::from_iter([("requestNumber".to_owned(), stored.number.into())]),
    };
    store::audit::append(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(())
}
