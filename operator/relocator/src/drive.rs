//! Drives one claimed move from step to step until it waits, ends or fails.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_projection::store::{Store, Stores};
use aeterna_tenancy::moves::step::{Observation, next};
use aeterna_tenancy::moves::{Claim, LEASE, Move, Progress, Step, save};
use aeterna_tenancy::shards::{self, Shard};

use crate::error::describe;
use crate::probe::{Point, Probe};
use crate::steps::{catch_up, clean, copy, cutover, retain, verify, wait};
use crate::{Error, Result};

/// What the steps of every move share.
#[derive(Debug, Clone)]
pub struct Context {
    /// The truth.
    pub pool: PgPool,
    /// The vector stores.
    pub stores: Arc<Stores>,
    /// Tests look in here.
    pub probe: Probe,
}

/// A claimed move and what this attempt has learned about it.
#[derive(Debug)]
pub struct Driven {
    /// The move; its progress is what the next save writes.
    pub moving: Move,
    /// The tenant's scope.
    pub scope: TenantScope,
    /// The target shard.
    pub target: Shard,
    /// The client of the target's store.
    pub store: Store,
    /// Changed rows at or after the watermark that the target has acknowledged, with their versions.
    pub acknowledged: catch_up::Acknowledged,
}

impl Driven {
    /// Returns the claim.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            move_id: self.moving.move_id,
            attempt: self.moving.attempt,
        }
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.scope.tenant()
    }
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The move waits for a time; its claim was given back.
    Waiting,
    /// The move is done.
    Done,
    /// The claim was lost.
    Fenced,
    /// A step failed; the error is saved with the move, which is tried again later.
    Failed,
}

/// A move's next step is due at once, later, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Go on.
    On,
    /// Give the claim back; `not_before` says when it is due.
    Rest,
}

/// Longest pause after errors.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Drives a claimed move as far as it goes now.
///
/// # Cancel safety
/// May be dropped anywhere: the claim then runs out, and the next one resumes at the last saved progress.
pub async fn drive(context: &Context, moving: Move) -> Ended {
    let claim = Claim {
        move_id: moving.move_id,
        attempt: moving.attempt,
    };
    let saved = moving.progress.clone();
    let outcome = match prepare(context, moving).await {
        Ok(mut driven) => walk(context, &mut driven)
            .await
            .map_err(|error| (error, driven.moving.progress)),
        Err(error) => Err((error, saved)),
    };
    match outcome {
        Ok(ended) => ended,
        Err((error, _)) if error.is_fenced() => {
            tracing::info!(move_id = %claim.move_id, "the claim was lost");
            Ended::Fenced
        }
        Err((error, progress)) => {
            tracing::warn!(move_id = %claim.move_id, step = %progress.step, error = %describe(&error), "a step failed");
            metrics::counter!("relocator_step_failures_total", "step" => progress.step.as_str()).increment(1);
            note_failure(context, claim, progress, &error).await
        }
    }
}

async fn prepare(context: &Context, moving: Move) -> Result<Driven> {
    let tenant = TenantId::parse(moving.tenant_id.clone())?;
    let target = shards::fetch_shard(&context.pool, &moving.target)
        .await?
        .ok_or_else(|| aeterna_tenancy::Error::UnknownShard {
            shard: moving.target.clone(),
        })?;
    let store = context.stores.at(&target.endpoint)?;
    if moving.progress.step.is_before_retain() {
        // A row of another life, or a collection that is not the shard's, must not be filled.
        if target.identity != moving.target_identity {
            return Err(aeterna_tenancy::Error::UnknownShard {
                shard: moving.target.clone(),
            }
            .into());
        }
        store.require_identity(&target.collection, target.identity).await?;
    }
    let scope = TenantScope::for_worker(tenant);
    Ok(Driven {
        moving,
        scope,
        target,
        store,
        acknowledged: catch_up::Acknowledged::default(),
    })
}

async fn walk(context: &Context, driven: &mut Driven) -> Result<Ended> {
    loop {
        let step = driven.moving.progress.step;
        context.probe.reach(Point::Begin(step)).await;
        let (seen, pace) = work(context, driven, step).await?;
        context.probe.reach(Point::Worked(step)).await;
        let following = next(step, &seen, clock::now());
        match (step, following) {
            // These two wrote their step themselves, in the transaction of what they did.
            (Step::Cutover, Step::Retain) | (Step::Retain, Step::Clean) => return Ok(Ended::Waiting),
            _ => {}
        }
        let progress = &mut driven.moving.progress;
        progress.error = None;
        progress.step = following;
        let rest = pace == Pace::Rest && following == step;
        let lease = if rest || following.is_final() {
            Duration::ZERO
        } else {
            LEASE
        };
        save(&context.pool, driven.claim(), step, &driven.moving.progress, lease).await?;
        context.probe.reach(Point::Saved(step)).await;
        if following.is_final() {
            return Ok(Ended::Done);
        }
        if rest {
            return Ok(Ended::Waiting);
        }
    }
}

async fn work(context: &Context, driven: &mut Driven, step: Step) -> Result<(Observation, Pace)> {
    match step {
        Step::Copy => copy::copy(context, driven).await,
        Step::CatchUp => catch_up::catch_up(context, driven).await,
        Step::Verify => verify::verify(context, driven).await,
        Step::Await => Ok(wait::look(driven)),
        Step::Cutover => cutover::try_cutover(context, driven).await,
        Step::Retain => retain::look(context, driven).await,
        Step::Clean | Step::Done | Step::Cancelled => clean::look(context, driven).await,
    }
}

/// Saves the error where people see it, and gives the claim back for a while.
async fn note_failure(context: &Context, claim: Claim, mut progress: Progress, error: &Error) -> Ended {
    let step = progress.step;
    let previous = progress.not_before.duration_since(clock::now()).unsigned_abs();
    let pause = if progress.error.is_some() {
        (previous * 2).clamp(Duration::from_secs(1), MAX_PAUSE)
    } else {
        Duration::from_secs(1)
    };
    progress.error = Some(describe(error));
    progress.waiting_for = Some(format!("the next try, in {} s", pause.as_secs()));
    progress.not_before = clock::now() + pause;
    match save(&context.pool, claim, step, &progress, Duration::ZERO).await {
        Ok(()) => Ended::Failed,
        // The database is away as well, or the claim is lost: the lease runs out by itself.
        Err(_) => Ended::Fenced,
    }
}
