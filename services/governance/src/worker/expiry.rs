//! Notices requests whose time is over. They are refused from that moment on whether this runs or not.

use std::time::Duration;

use serde_json::Map;
use sqlx::PgPool;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;

use crate::approval::Command;
use crate::audit::{Actor, Event, Outcome};
use crate::store::approvals::{self, Name};
use crate::store::{self, Scoped};

/// Between two looks.
const IDLE: Duration = Duration::from_secs(15);

/// Requests of one look.
const LIMIT: i64 = 500;

/// Looks until the process ends.
pub async fn run(pool: PgPool) {
    loop {
        match expire(&pool).await {
            Ok(count) if i64::try_from(count).is_ok_and(|count| count == LIMIT) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "expired requests could not be marked"),
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// One look. Returns how many requests were found.
///
/// # Errors
/// When the database fails; requests before that are done.
pub async fn expire(pool: &PgPool) -> anyhow::Result<usize> {
    let found = approvals::fetch_expired(pool, LIMIT).await?;
    let count = found.len();
    for (tenant, id) in found {
        let mut tx = Scoped::open(pool, &TenantScope::for_worker(TenantId::parse(tenant)?)).await?;
        let Some((stored, _)) = approvals::lock(&mut tx, &Name::Id(id)).await? else {
            continue;
        };
        let now = approvals::fetch_now(&mut tx).await?;
        // Somebody may have been quicker.
        let Ok(change) = stored.core.react(&Command::Expire, &|_| Vec::new(), now) else {
            continue;
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
    }
    Ok(count)
}
