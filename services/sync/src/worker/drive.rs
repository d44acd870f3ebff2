//! One claim: the walk beside its lease, and what becomes of the job.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use aeterna_kit::clock;

use super::Context;
use super::run::{Run, Stop, Whole};
use crate::job::failure::{Shown, next_try};
use crate::job::{Class, Event, Failure, Failures, Status};
use crate::lease::Lease;
use crate::store::{self, Claimed, Ending, Fence};
use crate::target::DEADLINE;

/// Between two heartbeats. A cancellation shows itself in their answer, and must be obeyed within 2 s.
const HEARTBEAT: Duration = Duration::from_millis(700);

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The job has this status, and is no longer ours.
    Left(Status),
    /// Somebody else has the job, or will have it when the lease is over.
    Fenced,
}

/// Drives a claimed job until it is over, given back, or lost.
///
/// # Cancel safety
/// Dropping the future is a crash: the lease runs out, and the next claim goes on at the last committed batch.
pub async fn drive(context: &Context, claimed: Claimed) -> Ended {
    let (stop, stopping) = watch::channel(claimed.status == Status::Cancelling);
    let (fence, lease) = (claimed.fence.clone(), Lease::until(claimed.good_until));
    let keeper = Keeper {
        context,
        fence: &fence,
        lease: &lease,
        length: claimed.lease,
        stop: &stop,
    };
    let mut run = Run::new(context, claimed, stopping, lease.clone());
    let walked = tokio::select! {
        // The lease first: a worker that was stopped for longer goes not one step further.
        biased;
        () = keeper.keep() => return Ended::Fenced,
        walked = run.walk() => walked,
    };
    leave(context, &fence, walked, run.failures()).await
}

/// What keeps a lease.
struct Keeper<'a> {
    context: &'a Context,
    fence: &'a Fence,
    lease: &'a Lease,
    length: Duration,
    stop: &'a watch::Sender<bool>,
}

impl Keeper<'_> {
    /// Returns when the lease is lost, or must be taken for lost: when a request that is begun now could outlast it.
    async fn keep(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            // Before the question: an answer that was long on its way tells of an older lease.
            let asked = Instant::now();
            let last = self.lease.last_moment(DEADLINE);
            if asked >= last {
                return;
            }
            let heard = store::heartbeat(&self.context.pool, self.fence, self.length);
            match tokio::time::timeout_at(last, heard).await {
                Ok(Ok(status)) => {
                    self.lease.renew(asked + self.length);
                    if status == Status::Cancelling {
                        self.stop.send_replace(true);
                    }
                }
                Ok(Err(store::Error::Fenced)) | Err(_) => return,
                Ok(Err(error)) => tracing::warn!(job = %self.fence.job, %error, "a lease is not renewed"),
            }
        }
    }
}

/// Ends the job, or gives it back, as the walk ended.
async fn leave(context: &Context, fence: &Fence, walked: Result<Whole, Stop>, failures: Failures) -> Ended {
    let failure = match walked {
        Ok(whole) => return finish(context, fence, ending(whole)).await,
        Err(Stop::Cancelled) => return finish(context, fence, plain(Event::Stopped)).await,
        Err(Stop::Leaving) => {
            return left(fence, store::release(&context.pool, fence, None, Duration::ZERO).await);
        }
        Err(Stop::Failed(failure)) => failure,
        Err(Stop::Store(store::Error::Fenced)) => return Ended::Fenced,
        Err(Stop::Store(error)) => {
            tracing::warn!(job = %fence.job, %error, "a job met its database");
            Failure::new(Class::Transient, "DATABASE_AWAY", "the database does not answer")
        }
    };
    let failures = failures.and(failure.class);
    let Some(pause) = next_try(&failure, failures, rand::random()) else {
        let error = Some(show(failure, None));
        let ending = Ending {
            error,
            ..plain(Event::GivenUp)
        };
        return finish(context, fence, ending).await;
    };
    let failed = (show(failure, Some(pause)), failures);
    left(fence, store::release(&context.pool, fence, Some(failed), pause).await)
}

async fn finish(context: &Context, fence: &Fence, ending: Ending) -> Ended {
    left(fence, store::finish(&context.pool, fence, ending).await)
}

fn left(fence: &Fence, outcome: Result<Status, store::Error>) -> Ended {
    match outcome {
        Ok(status) => {
            metrics::counter!("sync_claims_total", "left" => status.as_str()).increment(1);
            Ended::Left(status)
        }
        Err(error) => {
            tracing::warn!(job = %fence.job, %error, "a job is left to its lease");
            Ended::Fenced
        }
    }
}

fn ending(whole: Whole) -> Ending {
    let event = if whole.has_rejects {
        Event::EndedWithRejects
    } else {
        Event::Succeeded
    };
    Ending {
        event,
        error: None,
        digest: whole.digest,
        state: whole.state,
    }
}

fn plain(event: Event) -> Ending {
    Ending {
        event,
        error: None,
        digest: None,
        state: None,
    }
}

fn show(failure: Failure, pause: Option<Duration>) -> Shown {
    Shown {
        class: failure.class,
        code: failure.code.to_owned(),
        message: failure.message,
        retryable: pause.is_some(),
        // For people; the claim goes by the database's clock.
        retry_at: pause.and_then(|pause| clock::now().checked_add(pause).ok()),
    }
}
