//! The walk of a job: three phases, each of batches, each batch committed with its cursor.
//!
//! - *read*: page after page of the source; what is new or changed is delivered.
//! - *guard*: all is read; how much would vanish? Too much ends the run here, before anything is removed.
//! - *sweep*: what earlier crashes may have left in the target is cleared, then what left the source is removed.
//!
//! A batch is: decide, record intents, ask the target, commit. A crash between any two of these repeats the batch, and the
//! repetition finds in the intents what the first try may have done. An item counts once a job, however often it is met.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::deliver::Work;
use super::{Context, Point};
use crate::connection::Connection;
use crate::job::{Class, Failure, Failures};
use crate::lease::Lease;
use crate::plan;
use crate::source::{Coverage, Opening, PAGE, Source};
use crate::store::{self, Claimed, Fence};
use crate::target::For;

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// Somebody asked for it.
    #[error("cancelled")]
    Cancelled,
    /// The process is about to end.
    #[error("the worker leaves")]
    Leaving,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The job could not be written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a walk found at its end.
#[derive(Debug)]
pub(super) struct Whole {
    pub digest: Option<String>,
    pub has_rejects: bool,
    pub state: Option<Value>,
}

/// Says for whom a job reads and delivers.
pub(super) fn whose<'a>(
    fence: &'a Fence,
    roles: &'a [String],
    connection: &'a Connection,
    lease: &'a Lease,
) -> For<'a> {
    For {
        lease,
        tenant: fence.scope.tenant(),
        connection: fence.connection,
        job: fence.job,
        roles,
        origin: connection.source.origin(),
    }
}

/// Leases that ran out without a committed batch in between, after which a job is taken for the reason that its workers die.
/// Failures are not among them: whoever tells of one lives.
const POISON: u32 = 10;

/// Where a job is; kept in its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub(super) enum Cursor {
    Read { position: Option<Value> },
    Guard { state: Option<Value> },
    Sweep { state: Option<Value>, silence: Silence },
}

/// What it means that the source did not list an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Silence {
    /// The item is gone.
    Gone,
    /// Nothing.
    Nothing,
}

/// One walk.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) claimed: Claimed,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) lease: Lease,
    /// When it has taken long enough.
    deadline: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(context: &'a Context, claimed: Claimed, stopping: watch::Receiver<bool>, lease: Lease) -> Self {
        let most = Duration::from_secs(claimed.options.limits.max_seconds);
        Self {
            context,
            deadline: Instant::now() + most.saturating_sub(claimed.age),
            claimed,
            stopping,
            lease,
        }
    }

    /// Returns the failures since the last committed batch.
    pub(super) fn failures(&self) -> Failures {
        self.claimed.failures
    }

    pub(super) async fn walk(&mut self) -> Result<Whole, Stop> {
        self.context.probe.reach(Point::Claimed).await;
        self.heed()?;
        if self.claimed.lost >= POISON {
            let message = "worker after worker was lost over this job";
            return Err(Failure::new(Class::Internal, "WORKERS_LOST", message).into());
        }
        let fence = self.claimed.fence.clone();
        let connection = store::fetch_connection(&self.context.pool, &fence.scope, fence.connection)
            .await?
            .ok_or_else(|| Failure::new(Class::Internal, "CONNECTION_LOST", "the job has no connection"))?;
        let mut cursor = match self.claimed.cursor.take() {
            None => Cursor::Read { position: None },
            Some(kept) => serde_json::from_value(kept)
                .map_err(|_| Failure::new(Class::Internal, "CURSOR_FOREIGN", "the cursor is of another release"))?,
        };
        let state = loop {
            cursor = match cursor {
                Cursor::Read { position } => self.read(&connection, position).await?,
                Cursor::Guard { state } => self.guard(state).await?,
                Cursor::Sweep { ref state, silence } => {
                    self.sweep(&connection, &cursor, silence).await?;
                    break state.clone();
                }
            };
        };
        self.context.probe.reach(Point::Done).await;
        if self.claimed.options.dry_run {
            return Ok(Whole {
                digest: None,
                has_rejects: self.claimed.progress.rejected > 0,
                state: None,
            });
        }
        let (digest, has_rejects) = store::digest(&self.context.pool, &fence).await?;
        // A look at one item says nothing about the others.
        let has_rejects = if self.is_whole() {
            has_rejects
        } else {
            self.claimed.progress.rejected > 0
        };
        let state = state.filter(|_| self.is_whole());
        Ok(Whole {
            digest: Some(digest),
            has_rejects,
            state,
        })
    }

    /// Tells whether all of the source is meant, and not one item of it.
    fn is_whole(&self) -> bool {
        self.claimed.options.only.is_none()
    }

    fn heed(&self) -> Result<(), Stop> {
        if *self.stopping.borrow() {
            Err(Stop::Cancelled)
        } else if *self.context.leaving.borrow() {
            Err(Stop::Leaving)
        } else if Instant::now() >= self.deadline {
            Err(self.too_long())
        } else {
            Ok(())
        }
    }

    fn too_long(&self) -> Stop {
        let most = self.claimed.options.limits.max_seconds;
        let message = format!("the run has taken more than {most} seconds");
        Failure::new(Class::Data, "TOO_LONG", message).into()
    }

    /// Waits for a source, but not when somebody wants the job's end: reading leaves nothing behind.
    pub(super) async fn unless_stopped<T>(&self, read: impl Future<Output = Result<T, Failure>>) -> Result<T, Stop> {
        let (mut stopping, mut leaving) = (self.stopping.clone(), self.context.leaving.clone());
        tokio::select! {
            Ok(_) = leaving.wait_for(|leaving| *leaving) => Err(Stop::Leaving),
            read = read => read.map_err(Stop::Failed),
            Ok(_) = stopping.wait_for(|stop| *stop) => Err(Stop::Cancelled),
            () = tokio::time::sleep_until(self.deadline) => Err(self.too_long()),
        }
    }

    /// Reads the source to its end.
    async fn read(&mut self, connection: &Connection, mut position: Option<Value>) -> Result<Cursor, Stop> {
        let fence = self.claimed.fence.clone();
        let opening = Opening {
            whose: whose(&fence, &self.claimed.roles, connection, &self.lease),
            source: &connection.source,
            mode: self.claimed.mode,
            options: &self.claimed.options,
            state: connection.state.as_ref(),
            position: position.as_ref(),
        };
        let source = self.unless_stopped(Source::open(&self.context.places, opening)).await?;
        if let (Coverage::Changes { gone: Some(gone) }, None) = (source.coverage(), &position) {
            let delivered = store::count_delivered(&self.context.pool, &fence).await?;
            self.refuse_mass_delete(gone, delivered.all)?;
        }
        loop {
            self.heed()?;
            let page = self.unless_stopped(source.page(position.as_ref())).await?;
            self.context.probe.reach(Point::PageRead).await;
            let next = match (&page.next, source.coverage()) {
                (Some(next), _) => Cursor::Read {
                    position: Some(next.clone()),
                },
                (None, Coverage::Whole) if self.is_whole() => Cursor::Guard {
                    state: page.state.clone(),
                },
                (None, Coverage::Whole | Coverage::Changes { .. }) => Cursor::Sweep {
                    state: page.state.clone(),
                    silence: Silence::Nothing,
                },
            };
            self.take(connection, &source, page, &next).await?;
            match next {
                Cursor::Read { position: next } => position = next,
                Cursor::Guard { .. } | Cursor::Sweep { .. } => return Ok(next),
            }
        }
    }

    /// Looks how much would vanish.
    async fn guard(&mut self, state: Option<Value>) -> Result<Cursor, Stop> {
        let fence = self.claimed.fence.clone();
        let delivered = store::count_delivered(&self.context.pool, &fence).await?;
        // What the job itself brought is no reason to let more vanish; but what it brought and lost again may.
        let known = match delivered.seen_before {
            0 if !self.claimed.options.dry_run => delivered.all.saturating_sub(self.claimed.progress.added),
            _ => delivered.all,
        };
        let mut vanishing = delivered.unseen;
        if plan::is_mass_delete(vanishing, known) {
            vanishing = vanishing.saturating_sub(store::count_moved(&self.context.pool, &fence).await?);
        }
        self.refuse_mass_delete(vanishing, known)?;
        Ok(Cursor::Sweep {
            state,
            silence: Silence::Gone,
        })
    }

    pub(super) fn refuse_mass_delete(&self, vanishing: u64, known: u64) -> Result<(), Stop> {
        if self.claimed.options.allow_mass_delete || !plan::is_mass_delete(vanishing, known) {
            return Ok(());
        }
        let message = format!("{vanishing} of {known} items would vanish; start with allowMassDelete if they should");
        Err(Failure::new(Class::Data, "MASS_DELETE", message).into())
    }

    /// Clears what crashes left in the target, then removes what left the source.
    async fn sweep(&mut self, connection: &Connection, cursor: &Cursor, silence: Silence) -> Result<(), Stop> {
        let fence = self.claimed.fence.clone();
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        while !self.claimed.options.dry_run {
            self.heed()?;
            let left = store::fetch_leftover(&self.context.pool, &fence, limit).await?;
            if left.is_empty() {
                break;
            }
            let works = left.into_iter().map(|(id, known)| Work::clear(id, &known)).collect();
            self.carry_out(connection, works, Vec::new(), cursor).await?;
        }
        if silence == Silence::Nothing {
            return Ok(());
        }
        let mut after = String::new();
        loop {
            self.heed()?;
            let unseen = store::fetch_unseen(&self.context.pool, &fence, &after, limit).await?;
            match unseen.last() {
                Some((last, _)) => after.clone_from(last),
                None => return Ok(()),
            }
            let works = unseen.into_iter().map(|(id, known)| Work::gone(id, &known)).collect();
            self.carry_out(connection, works, Vec::new(), cursor).await?;
        }
    }
}
