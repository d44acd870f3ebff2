//! The status of a tenant: steps are written at once, counters every ten seconds.

use std::time::Duration;

use aeterna_crds::v1alpha1::{Reason, TenantShard};
use aeterna_kit::clock;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::{Report, Serving, derive_status, same_but_progress};
use kube::{Resource as _, ResourceExt as _};

use super::observe::Observation;
use super::{Context, Error, LINGERING, MOVING, SETTLED};

/// Between two writes that differ in counters only.
const PROGRESS: Duration = Duration::from_secs(10);

/// Names an object among all.
pub(super) fn key(object: &TenantShard) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// What the status said last, for a pass that could not look.
pub(super) fn last_known(object: &TenantShard) -> Report {
    let Some(status) = object.status.clone() else {
        return Report::default();
    };
    Report {
        placement: status.placement,
        moving: status.moving,
        last_moves: status.last_moves,
        ..Report::default()
    }
}

/// Writes that a pass ended before it had seen everything.
pub(super) async fn report_trouble(context: &Context, object: &TenantShard, because: Because) -> Result<(), Error> {
    // Nothing is written or searched without the database.
    let serving = if because.reason == Reason::DatabaseUnreachable {
        Serving::No(because.clone())
    } else {
        Serving::Unknown
    };
    let waiting = Report {
        serving,
        trouble: Some(because),
        ..last_known(object)
    };
    report(context, object, waiting).await
}

/// Tells when to look again.
pub(super) fn pace(report: &Report, seen: &Observation) -> Duration {
    let verifying = report
        .verification
        .as_ref()
        .is_some_and(|answer| answer.finished_at.is_none());
    let waiting = seen.moves.iter().any(|moving| !moving.progress.step.is_final());
    match (&report.moving, report.switched) {
        (Some(_), false) => MOVING,
        _ if verifying => MOVING,
        _ if report.trouble.is_some() => LINGERING,
        (Some(_), true) => LINGERING,
        (None, _) if waiting => LINGERING,
        // Just moved: the source's shard may be waiting to be retired.
        (None, _) => SETTLED,
    }
}

/// Writes the status if it differs enough, and tells of a change.
pub(super) async fn report(context: &Context, object: &TenantShard, report: Report) -> Result<(), Error> {
    let old = object.status.as_ref();
    let status = derive_status(old, object.metadata.generation, report, clock::now());
    if let Some(old) = old {
        if *old == status {
            return Ok(());
        }
        if same_but_progress(old, &status) && context.statuses.was_written_within(PROGRESS, object) {
            return Ok(());
        }
    }
    let written = context.statuses.write(&context.client, object, &status).await;
    if !written.map_err(|source| Error::Api {
        operation: "write the status of a TenantShard",
        source: Box::new(source),
    })? {
        return Ok(());
    }
    let before = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
    context
        .events
        .publish_change(&object.object_ref(&()), before, &status.conditions)
        .await;
    Ok(())
}
