//! Drives one claimed move from step to step until it waits, ends or fails.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_projection::store::{Store, Stores};
use aeterna_tenancy::moves::step::{Observation, next};
use aeterna_tenancy::moves::{Claim, Hold, Move, Progress, Snapshot, Step, save};
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
    /// The cutover is not tried again before this moment.
    pub cutover_due: Option<Instant>,
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

    /// Returns the snapshot all of whose changes are in the target.
    ///
    /// # Errors
    /// [`Error::NoWatermark`]: Copy saves it before its first page.
    pub fn watermark(&self) -> Result<Snapshot> {
        let saved = self.moving.progress.watermark.clone();
        saved.ok_or(Error::NoWatermark {
            move_id: self.moving.move_id,
        })
    }

    /// Saves progress within a step, which also renews the claim.
    ///
    /// # Errors
    /// Whatever the database answers, and that the claim was lost.
    pub async fn save(&mut self, context: &Context, step: Step) -> Result<()> {
        self.moving.progress.note_success();
        Ok(save(&context.pool, self.claim(), step, &self.moving.progress, Hold::Keep).await?)
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
    /// Give the claim back for this time.
    Rest(Duration),
}

/// The first and the longest pause after errors; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

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
        cutover_due: None,
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
        let hold = match pace {
            _ if following.is_final() => Hold::Release(Duration::ZERO),
            Pace::Rest(pause) if following == step => Hold::Release(pause),
            Pace::Rest(_) | Pace::On => Hold::Keep,
        };
        driven.moving.progress.step = following;
        save(&context.pool, driven.claim(), step, &driven.moving.progress, hold).await?;
        context.probe.reach(Point::Saved(step)).await;
        if following.is_final() {
            return Ok(Ended::Done);
        }
        if hold != Hold::Keep {
            return Ok(Ended::Waiting);
        }
    }
}

async fn work(context: &Context, driven: &mut Driven, step: Step) -> Result<(Observation, Pace)> {
    let done = match step {
        Step::Copy => copy::copy(context, driven).await?,
        Step::CatchUp => catch_up::catch_up(context, driven).await?,
        Step::Verify => verify::verify(context, driven).await?,
        Step::Await => wait::look(driven),
        Step::Cutover => cutover::try_cutover(context, driven).await?,
        Step::Retain => retain::look(context, driven).await?,
        // Its error is the ledger's.
        Step::Clean | Step::Done | Step::Cancelled => return clean::look(context, driven).await,
    };
    // What the step itself says it waits for stays.
    driven.moving.progress.failures = 0;
    driven.moving.progress.error = None;
    Ok(done)
}

/// Saves the error where people see it, and gives the claim back for a while.
async fn note_failure(context: &Context, claim: Claim, mut progress: Progress, error: &Error) -> Ended {
    let step = progress.step;
    let doublings = u32::try_from(progress.failures.clamp(0, 8)).unwrap_or_default();
    let pause = (PAUSE.0 * 2_u32.pow(doublings)).min(PAUSE.1);
    progress.failures += 1;
    progress.error = Some(describe(error));
    progress.waiting_for = Some(format!("the next try, in {} s", pause.as_secs()));
    match save(&context.pool, claim, step, &progress, Hold::Release(pause)).await {
        Ok(()) => Ended::Failed,
        // The database is away as well, or the claim is lost: the lease runs out by itself.
        Err(_) => Ended::Fenced,
    }
}
