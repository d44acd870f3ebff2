//! Points that Qdrant named and the truth does not know.
//!
//! No caller sees them: hydration drops them from every answer. But they take places of others, so each that has no row gets
//! a tombstone through the write function, and with it the marker that hides its point. A point whose row is there, and was
//! dropped for another reason (deleted a moment ago, expired, changed), is left alone: its outbox row or the sweeper has it.

use aeterna_kit::auth::TenantScope;
use aeterna_kit::tasks::spawn;
use aeterna_projection::store::Hit;
use aeterna_projection::truth::{Kind, Outcome, WriteItem};
use uuid::Uuid;

use crate::routes::memories::change;
use crate::state::State;
use crate::store::Found;

/// Re-checks the hits that hydration has dropped, if no other re-check runs: the next search names them again.
pub fn begin(state: &State, scope: &TenantScope, hits: &[Hit], found: &Found) {
    let is_known = |point: &Uuid| found.by_point.iter().any(|stored| stored.point_id == *point);
    let dropped: Vec<Uuid> = hits
        .iter()
        .map(|hit| hit.point_id)
        .filter(|point| !is_known(point))
        .collect();
    if dropped.is_empty() {
        return;
    }
    let Ok(permit) = state.rechecks.clone().try_acquire_owned() else {
        return;
    };
    let (state, scope) = (state.clone(), scope.clone());
    spawn("recheck", async move {
        for point in dropped {
            recheck(&state, &scope, point).await;
        }
        drop(permit);
    });
}

async fn recheck(state: &State, scope: &TenantScope, point: Uuid) {
    let item = WriteItem::bare(Kind::Orphan, point);
    match state.writer.write(scope, &state.model_of(scope), item.clone()).await {
        Ok(written) if written.outcome == Outcome::Deleted => {
            metrics::counter!("projection_orphans_total").increment(1);
            change::apply(state, scope, item, &written).await;
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "a point without a row waits"),
    }
}
