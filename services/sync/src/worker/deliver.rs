//! Asks the target for what a batch has to do, some items at a time, until all is done or somebody wants the job's end.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;

use super::{Context, Point};
use crate::connection::Target;
use crate::job::Failure;
use crate::plan::{self, Counted, Known, Step};
use crate::store::{Became, Refuser, Settled};
use crate::target::{Delivery, For, Refused};

/// Items on their way at once: a target that needs 20 ms for one takes 400 a second.
pub(super) const AT_ONCE: usize = 8;

/// How long what is on its way may take after a cancellation: 2 s less a heartbeat and the last commit.
const LAST: Duration = Duration::from_millis(800);

/// An item and what has to be done for it.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub external_id: String,
    pub step: Step,
    /// Its text, where it is delivered.
    pub text: String,
    pub content_hash: Vec<u8>,
    pub source_version: Option<String>,
    /// The id and the version in the target of what was delivered last.
    pub delivered: Option<(String, String)>,
    /// How it counts, if it was not counted before.
    pub counts: Option<Counted>,
    /// What it is when it is done.
    pub end: End,
}

/// What a piece of work leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The target has the text.
    Delivered,
    /// The target has nothing of the item.
    Removed,
    /// The target has nothing of the item but what was delivered.
    Cleared,
}

impl Work {
    /// Removes an item that is gone.
    pub(super) fn gone(external_id: String, known: &Known) -> Self {
        Self {
            counts: known.content_hash.as_ref().map(|_| Counted::Deleted),
            ..Self::remove(external_id, known, plan::plan_gone(known), End::Removed)
        }
    }

    /// Removes what crashes may have left of an item.
    pub(super) fn clear(external_id: String, known: &Known) -> Self {
        let stale = plan::leftovers(known);
        Self::remove(external_id, known, Step::Remove { stale }, End::Cleared)
    }

    fn remove(external_id: String, known: &Known, step: Step, end: End) -> Self {
        Self {
            external_id,
            step,
            text: String::new(),
            content_hash: Vec::new(),
            source_version: None,
            delivered: known.delivered_version(),
            counts: None,
            end,
        }
    }

    /// Returns the version of what was delivered last under an id.
    fn version_of(&self, id: &str) -> Option<&str> {
        let delivered = self.delivered.as_ref().filter(|(of, _)| of == id);
        delivered.map(|(_, version)| version.as_str())
    }

    /// Returns the item and the id under which it is about to be delivered.
    pub(super) fn intent(&self) -> Option<(&str, &str)> {
        match &self.step {
            Step::Put { id, .. } => Some((&self.external_id, id)),
            Step::Keep | Step::Remove { .. } => None,
        }
    }

    /// Returns what became of the item when all was done, at the version that it then has in its target.
    pub(super) fn done(self, target_version: Option<String>) -> Settled {
        let became = match (self.end, self.step) {
            (End::Delivered, Step::Put { id, .. }) => Became::Delivered {
                content_hash: self.content_hash,
                target_id: id,
                target_version,
                source_version: self.source_version,
            },
            (End::Removed, _) => Became::Removed,
            (End::Delivered | End::Cleared, _) => Became::Cleared,
        };
        Settled {
            external_id: self.external_id,
            became,
        }
    }

    /// Returns what became of the item when the target could not take it.
    pub(super) fn rejected(self, code: String, message: String) -> Settled {
        if self.end == End::Cleared {
            // What cannot be removed was never there under our hand.
            tracing::warn!(item = self.external_id, code, message, "a leftover stays in the target");
            return self.done(None);
        }
        let attempted = self.intent().map(|(_, id)| id.to_owned());
        Settled {
            external_id: self.external_id,
            became: Became::Rejected {
                by: Refuser::Target,
                code,
                message,
                attempted,
            },
        }
    }
}

/// What became of a piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done, and has this version where the target has versions.
    Done { version: Option<String> },
    /// The target cannot take the item.
    Rejected { code: String, message: String },
    /// The job may not write the item.
    Forbidden { code: String, message: String },
    /// The target is away.
    Failed(Failure),
    /// It was not begun, or not waited for: the intent tells of it.
    Open,
    /// The lease may be over.
    Lost,
}

pub(super) async fn deliver(
    context: &Context,
    target: &Target,
    whose: For<'_>,
    works: &[Work],
    stopping: &watch::Receiver<bool>,
) -> Vec<Outcome> {
    // The futures are made before the stream is: a closure in it would have to work for every lifetime.
    let asked: Vec<_> = works
        .iter()
        .map(|work| unless_stopped(context, target, whose, work, stopping))
        .collect();
    futures::stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn unless_stopped(
    context: &Context,
    target: &Target,
    whose: For<'_>,
    work: &Work,
    stopping: &watch::Receiver<bool>,
) -> Outcome {
    if *stopping.borrow() {
        return Outcome::Open;
    }
    tokio::select! {
        outcome = one(context, target, whose, work) => outcome,
        () = too_late(stopping.clone()) => Outcome::Open,
    }
}

async fn too_late(mut stopping: watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST).await;
}

async fn one(context: &Context, target: &Target, whose: For<'_>, work: &Work) -> Outcome {
    let asked = async {
        let (stale, version) = match &work.step {
            Step::Keep => return Ok(None),
            Step::Put { id, stale, .. } => {
                let delivery = Delivery {
                    id,
                    external_id: &work.external_id,
                    text: &work.text,
                    version: work.version_of(id),
                };
                (stale, context.services.put(target, whose, delivery).await?)
            }
            Step::Remove { stale } => (stale, None),
        };
        for id in stale {
            let stale = (id.as_str(), work.version_of(id));
            context.services.remove(target, whose, stale).await?;
        }
        Ok(version)
    };
    let outcome = match asked.await {
        Ok(version) => Outcome::Done { version },
        Err(Refused::Lost) => Outcome::Lost,
        Err(Refused::Forbidden { code, message }) => Outcome::Forbidden { code, message },
        Err(Refused::Item { code, message }) => Outcome::Rejected { code, message },
        Err(Refused::Run(failure)) => Outcome::Failed(failure),
    };
    context.probe.reach(Point::Delivered).await;
    outcome
}
