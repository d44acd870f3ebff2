//! Faults on purpose: calls that are slow, refused, held back, or applied without an answer.
//!
//! For tests of what a dependency's bad day does to its callers. Nothing here is reached unless a test has asked
//! for it through [`Faults`]; the meaning of a call that gets through is never changed.
//!
//! A call that is stalled or held goes on when its client has given up: it is applied *later*, as a request is
//! that was lost in a real network for a while.
//!
//! qdrant-client 1.20 repeats a call once, on a new connection, when it is told `Unavailable`, `Internal`,
//! `Cancelled` or `Unknown`. A single fault with such a code is therefore healed by the client: to be seen by
//! its caller it takes another code ([`Code::DeadlineExceeded`]) or [`Faults::fail`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tonic::{Code, Status};

use crate::op::Op;

/// Which calls a fault is for; without a collection, those to any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `None` stands for every call that changes points.
    op: Option<Op>,
    collection: Option<String>,
}

/// What becomes of the answer of a call that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReply {
    /// The client waits until it gives up.
    Never,
    /// The client is told that the call failed.
    As(Code),
}

/// Asks a running server for faults. Clones act on the same server.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
    running: Arc<watch::Sender<usize>>,
}

/// Counts a call as running until it is dropped.
pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}

/// Keeps calls from being applied until it is released or dropped.
#[derive(Debug)]
pub struct Held {
    release: watch::Sender<bool>,
    waiting: watch::Receiver<usize>,
}

#[derive(Debug, Clone)]
struct Rule {
    target: Target,
    effect: Effect,
    /// How many more calls it is for; `None` for all until [`Faults::clear`].
    left: Option<usize>,
}

#[derive(Debug, Clone)]
enum Effect {
    Stall(Duration),
    Fail(Code),
    Hold {
        released: watch::Receiver<bool>,
        waiting: Arc<watch::Sender<usize>>,
    },
    LoseReply(LostReply),
}

impl Target {
    /// Aims at every call that changes points.
    #[must_use]
    pub fn writes() -> Self {
        Self {
            op: None,
            collection: None,
        }
    }

    /// Narrows the target to one collection.
    #[must_use]
    pub fn of(mut self, collection: impl Into<String>) -> Self {
        self.collection = Some(collection.into());
        self
    }

    fn covers(&self, op: Op, collection: &str) -> bool {
        self.op.map_or(op.writes_points(), |own| own == op)
            && self.collection.as_ref().is_none_or(|own| own == collection)
    }
}

impl From<Op> for Target {
    fn from(op: Op) -> Self {
        Self {
            op: Some(op),
            collection: None,
        }
    }
}

impl Faults {
    /// Makes every call wait before it is applied, until [`Faults::clear`].
    pub fn stall(&self, target: impl Into<Target>, delay: Duration) {
        self.add(target.into(), Effect::Stall(delay), None);
    }

    /// Makes the next call wait before it is applied.
    pub fn stall_next(&self, target: impl Into<Target>, delay: Duration) {
        self.add(target.into(), Effect::Stall(delay), Some(1));
    }

    /// Waits until no call is running, those included whose clients have given up; the caller sets the deadline.
    pub async fn until_quiet(&self) {
        // The sender is ours: the channel cannot close.
        _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Counts a call as running.
    pub(crate) fn enter(&self) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(Arc::clone(&self.running))
    }

    /// Refuses the next call without applying it.
    pub fn fail_next(&self, target: impl Into<Target>, code: Code) {
        self.add(target.into(), Effect::Fail(code), Some(1));
    }

    /// Refuses every call without applying it, until [`Faults::clear`].
    pub fn fail(&self, target: impl Into<Target>, code: Code) {
        self.add(target.into(), Effect::Fail(code), None);
    }

    /// Applies the next call and loses its answer.
    pub fn drop_reply_after_apply(&self, target: impl Into<Target>, lost: LostReply) {
        self.add(target.into(), Effect::LoseReply(lost), Some(1));
    }

    /// Holds calls back until the answer of this function is released or dropped. A held call is applied after
    /// that, also when its client has given up.
    #[must_use]
    pub fn hold(&self, target: impl Into<Target>) -> Held {
        self.hold_up_to(target.into(), None)
    }

    /// Holds back the next call only; those behind it overtake it.
    #[must_use]
    pub fn hold_next(&self, target: impl Into<Target>) -> Held {
        self.hold_up_to(target.into(), Some(1))
    }

    /// Ends all faults; held calls stay held until their [`Held`] is released.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn hold_up_to(&self, target: Target, left: Option<usize>) -> Held {
        let (release, released) = watch::channel(false);
        let (counter, waiting) = watch::channel(0);
        let waiting_calls = Arc::new(counter);
        let effect = Effect::Hold {
            released,
            waiting: waiting_calls,
        };
        self.add(target, effect, left);
        Held { release, waiting }
    }

    fn add(&self, target: Target, effect: Effect, left: Option<usize>) {
        self.lock().push(Rule { target, effect, left });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the effects that are due for a call.
    fn take(&self, op: Op, collection: &str) -> Vec<Effect> {
        let mut due = Vec::new();
        self.lock().retain_mut(|rule| {
            if !rule.target.covers(op, collection) {
                return true;
            }
            // A released hold is over for calls that come later.
            if matches!(&rule.effect, Effect::Hold { released, .. } if is_released(released)) {
                return false;
            }
            due.push(rule.effect.clone());
            rule.left = rule.left.map(|left| left.saturating_sub(1));
            rule.left != Some(0)
        });
        due
    }

    /// Does to a call what is due before it is applied; answers what is to become of its reply.
    pub(crate) async fn before(&self, op: Op, collection: &str) -> Result<Option<LostReply>, Status> {
        let mut lost = None;
        for effect in self.take(op, collection) {
            match effect {
                Effect::Stall(delay) => tokio::time::sleep(delay).await,
                Effect::Fail(code) => return Err(Status::new(code, "a fault on purpose")),
                Effect::Hold { mut released, waiting } => {
                    waiting.send_modify(|count| *count += 1);
                    // A dropped `Held` closes the channel, which releases too.
                    _ = released.wait_for(|released| *released).await;
                    waiting.send_modify(|count| *count = count.saturating_sub(1));
                }
                Effect::LoseReply(reply) => lost = Some(reply),
            }
        }
        Ok(lost)
    }
}

fn is_released(released: &watch::Receiver<bool>) -> bool {
    *released.borrow() || released.has_changed().is_err()
}

impl Held {
    /// Lets the held calls go on, and no longer holds later ones.
    pub fn release(self) {
        self.release.send_replace(true);
    }

    /// Waits until so many calls are being held; the caller sets the deadline.
    pub async fn until_waiting(&mut self, calls: usize) {
        // The counter cannot close before the rule is gone, and then nothing more can come.
        _ = self.waiting.wait_for(|waiting| *waiting >= calls).await;
    }
}
