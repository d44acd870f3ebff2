//! Reading what is there: route, moves, verification.

use aeterna_crds::VERIFY_ANNOTATION;
use aeterna_crds::v1alpha1::{MoveStatus, PastMove, PlacementStatus, TenantShard, VerificationStatus};
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::{MoveView, Report, Seen, Serving, Step as PlanStep};
use aeterna_tenancy::moves::step::STEPS;
use aeterna_tenancy::moves::{Move, Step, fetch_moves};
use aeterna_tenancy::routes::{Route, fetch_route};
use aeterna_tenancy::shards::{Shard, ShardKind, fetch_shard};
use aeterna_tenancy::verifications;
use kube::ResourceExt as _;

use super::Error;
use crate::registry::Handle;

/// Moves that are looked at: those that run, and the last ones.
const MOVES: i64 = 8;

/// Moves in the history.
const PAST: usize = 5;

/// What was seen of a tenant.
pub(super) struct Observation {
    pub route: Route,
    pub shard: Shard,
    pub moves: Vec<Move>,
    pub view: Seen,
}

pub(super) async fn observe(handle: &Handle, tenant: &TenantId) -> Result<Observation, Error> {
    let unknown = || aeterna_tenancy::Error::UnknownTenant {
        tenant: tenant.to_string(),
    };
    let route = fetch_route(&handle.pool, tenant).await?.ok_or_else(unknown)?;
    let shard =
        fetch_shard(&handle.pool, &route.shard_id)
            .await?
            .ok_or_else(|| aeterna_tenancy::Error::UnknownShard {
                shard: route.shard_id.clone(),
            })?;
    let moves = fetch_moves(&handle.pool, tenant, MOVES).await?;
    let heading = moves.iter().find(|moving| moving.progress.step.is_before_retain());
    let target = match heading {
        Some(moving) => fetch_shard(&handle.pool, &moving.target).await?,
        None => None,
    };
    let view = Seen {
        heads_for_shared: target.is_some_and(|target| target.kind == ShardKind::Shared),
        shard: shard.shard_id.to_string(),
        is_shared: shard.kind == ShardKind::Shared,
        moves: moves.iter().map(view).collect(),
    };
    Ok(Observation {
        route,
        shard,
        moves,
        view,
    })
}

fn view(moving: &Move) -> MoveView {
    let step = match moving.progress.step {
        step if step.is_before_retain() => PlanStep::BeforeSwitch,
        step if step.is_final() => PlanStep::Ended,
        _ => PlanStep::AfterSwitch,
    };
    MoveView {
        id: moving.move_id.to_string(),
        target: moving.target.to_string(),
        step,
    }
}

/// Puts everything into the form of the status.
pub(super) async fn summarize(
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
    wanted: &str,
    seen: &Observation,
    trouble: Option<Because>,
) -> Result<Report, Error> {
    let current = seen.moves.iter().find(|moving| !moving.progress.step.is_final());
    Ok(Report {
        placement: Some(PlacementStatus {
            shard: seen.shard.shard_id.to_string(),
            collection: seen.shard.collection.clone(),
            generation: seen.route.generation.0,
            model: seen.route.model.clone(),
        }),
        serving: Serving::Yes,
        wanted: Some(wanted.to_owned()),
        moving: current.map(summarize_move),
        switched: current.is_some_and(|moving| !moving.progress.step.is_before_retain()),
        last_moves: seen
            .moves
            .iter()
            .filter(|moving| moving.progress.step.is_final())
            .take(PAST)
            .map(summarize_past)
            .collect(),
        verification: fetch_verification(object, handle, tenant).await?,
        trouble,
    })
}

fn summarize_move(moving: &Move) -> MoveStatus {
    let progress = &moving.progress;
    let (rate_per_second, eta_seconds) = estimate(moving);
    let kept = progress.step == Step::Retain;
    let deletes = !progress.step.is_before_retain();
    MoveStatus {
        id: moving.move_id.to_string(),
        operation: moving.operation.clone(),
        source: moving.source.to_string(),
        target: moving.target.to_string(),
        step: progress.step.to_string(),
        progress: format!("{}/{}", progress.step.number(), STEPS.len()),
        step_since: Some(moving.step_at),
        total: progress.total,
        copied: progress.copied,
        rate_per_second,
        eta_seconds,
        caught_up: progress.caught_up,
        lag: progress.lag,
        compared: progress.compared,
        repaired: progress.repaired,
        verified_at: progress.verified_at,
        attempt: moving.attempt.0,
        cutover_tries: progress.cutover_tries,
        write_pause_microseconds: progress.pause_us,
        waiting_for: progress
            .waiting_for
            .clone()
            .or_else(|| kept.then(|| "the end of the retention".to_owned())),
        error: progress.error.clone(),
        source_kept_until: moving.retain_until,
        will_delete: deletes.then(|| {
            format!(
                "the tenant's points in {} up to generation {}",
                moving.source, moving.base
            )
        }),
    }
}

/// Rows a second and seconds left, while rows are copied.
fn estimate(moving: &Move) -> (Option<i64>, Option<i64>) {
    if moving.progress.step != Step::Copy || moving.progress.copied == 0 {
        return (None, None);
    }
    let milliseconds = clock::now().duration_since(moving.step_at).as_millis();
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX).max(1);
    let rate = (moving.progress.copied.saturating_mul(1_000) / milliseconds).max(1);
    let left = (moving.progress.total - moving.progress.copied).max(0);
    (Some(rate), Some(left / rate))
}

fn summarize_past(moving: &Move) -> PastMove {
    PastMove {
        id: moving.move_id.to_string(),
        source: moving.source.to_string(),
        target: moving.target.to_string(),
        result: moving.progress.step.to_string(),
        finished_at: moving.finished_at,
        copied: moving.progress.copied,
        write_pause_microseconds: moving.progress.pause_us,
    }
}

async fn fetch_verification(
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
) -> Result<Option<VerificationStatus>, Error> {
    let Some(request) = object.annotations().get(VERIFY_ANNOTATION) else {
        return Ok(None);
    };
    let Some(found) = verifications::fetch(&handle.pool, tenant, request).await? else {
        return Ok(None);
    };
    let findings = found.findings.unwrap_or_default();
    Ok(Some(VerificationStatus {
        request_id: found.request_id,
        finished_at: found.finished_at,
        compared: findings.compared,
        missing: findings.missing,
        stale: findings.stale,
        orphaned: findings.orphaned,
        foreign: findings.foreign,
        repaired: findings.repaired,
        error: found.error,
    }))
}
