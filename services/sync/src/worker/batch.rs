//! One batch: decide about each item, record the intents, ask the target, commit.

use super::Point;
use super::deliver::{AT_ONCE, End, Outcome, Work, deliver};
use super::run::{Cursor, Run, Stop, whose};
use crate::connection::Connection;
use crate::job::{Class, Failure, Failures, Mode};
use crate::plan::{self, Counted, Known, Step};
use crate::source::{Coverage, Found, Listed, Page, Source};
use crate::store::{self, Batch, Became, Refuser, Settled};

/// What was decided about an item.
enum Decided {
    /// Nothing is known: it was listed, and was not there any more when it was read. The job has not met it.
    Unseen,
    /// Nothing has to be asked of the target.
    Settled(Settled, Option<Counted>),
    /// Something has.
    Work(Work),
}

impl Run<'_> {
    /// Takes one page.
    pub(super) async fn take(
        &mut self,
        connection: &Connection,
        source: &Source,
        page: Page,
        next: &Cursor,
    ) -> Result<(), Stop> {
        let fence = self.claimed.fence.clone();
        if page.restarted {
            store::forget_seen(&self.context.pool, &fence).await?;
        }
        let ids: Vec<&str> = page.items.iter().map(|item| item.external_id.as_str()).collect();
        let mut known = store::fetch_known(&self.context.pool, &fence, &ids).await?;
        self.claimed.progress.estimate = page.estimate.or(self.claimed.progress.estimate);
        self.spend(page.bytes)?;
        let (mut works, mut settled) = (Vec::new(), Vec::new());
        for listed in page.items {
            if self
                .claimed
                .options
                .only
                .as_ref()
                .is_some_and(|only| *only != listed.external_id)
            {
                continue;
            }
            let known = known.remove(&listed.external_id).unwrap_or_default();
            match self.decide(connection, source, listed, &known).await? {
                Decided::Unseen => {}
                Decided::Settled(item, counts) => self.settle(&mut settled, item, counts),
                Decided::Work(work) => works.push(work),
            }
        }
        if source.coverage() == (Coverage::Changes { gone: None }) {
            self.guard_page(&works).await?;
        }
        let coming = works
            .iter()
            .filter(|work| work.counts.is_some() && work.end == End::Delivered);
        self.refuse_too_many(u64::try_from(coming.count()).unwrap_or(u64::MAX))?;
        self.carry_out(connection, works, settled, next).await
    }

    /// Looks how much would vanish with this page and those before it, where the source does not tell beforehand.
    async fn guard_page(&self, works: &[Work]) -> Result<(), Stop> {
        let going = works
            .iter()
            .filter(|work| work.counts == Some(Counted::Deleted))
            .count();
        if going == 0 {
            return Ok(());
        }
        let delivered = store::count_delivered(&self.context.pool, &self.claimed.fence)
            .await?
            .all;
        let progress = &self.claimed.progress;
        let known = if self.claimed.options.dry_run {
            delivered
        } else {
            delivered
                .saturating_add(progress.deleted)
                .saturating_sub(progress.added)
        };
        let going = u64::try_from(going).unwrap_or(u64::MAX);
        self.refuse_mass_delete(progress.deleted.saturating_add(going), known)
    }

    /// Decides about one item, and reads it when that is needed.
    async fn decide(
        &mut self,
        connection: &Connection,
        source: &Source,
        listed: Listed,
        known: &Known,
    ) -> Result<Decided, Stop> {
        let Listed {
            external_id,
            version,
            found,
        } = listed;
        let job = self.claimed.fence.job;
        let fresh = ![Some(job), Some(plan::seen_before(job))].contains(&known.seen_by);
        let counts = |counted| fresh.then_some(counted);
        let kept = |external_id, version| {
            let became = Became::Kept {
                source_version: version,
            };
            Decided::Settled(Settled { external_id, became }, counts(Counted::Unchanged))
        };
        let found = match found {
            Found::Listed
                if self.claimed.mode == Mode::Incremental && plan::is_same_version(known, version.as_deref()) =>
            {
                return Ok(kept(external_id, version));
            }
            Found::Listed => self.unless_stopped(source.read(&external_id)).await?,
            Found::Text(_) | Found::Gone | Found::Unfit(_) => found,
        };
        let text = match found {
            Found::Text(text) => text,
            // Where silence says what is gone, the guard looks first how much that is, and the sweep removes it.
            Found::Gone | Found::Listed if source.coverage() == Coverage::Whole => return Ok(Decided::Unseen),
            Found::Gone | Found::Listed => {
                return Ok(Decided::Work(Work::gone(external_id, known)));
            }
            Found::Unfit(unfit) => {
                let became = Became::Rejected {
                    by: Refuser::Source,
                    code: unfit.code.to_owned(),
                    message: unfit.message,
                    attempted: None,
                };
                return Ok(Decided::Settled(
                    Settled { external_id, became },
                    counts(Counted::Rejected),
                ));
            }
        };
        self.spend(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        let content_hash = plan::hash(&text);
        let id = plan::target_id(&connection.target, connection.id, &external_id, &content_hash);
        let step = plan::plan_text(known, &content_hash, id);
        let counted = match &step {
            Step::Keep => return Ok(kept(external_id, version)),
            Step::Put { replaces: true, .. } => Counted::Updated,
            Step::Put { .. } | Step::Remove { .. } => Counted::Added,
        };
        Ok(Decided::Work(Work {
            external_id,
            step,
            text,
            content_hash,
            source_version: version,
            delivered: known.delivered_version(),
            counts: counts(counted),
            end: End::Delivered,
        }))
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Stop> {
        self.claimed.progress.bytes = self.claimed.progress.bytes.saturating_add(bytes);
        let most = self.claimed.options.limits.max_bytes;
        if self.claimed.progress.bytes > most {
            let message = format!("the run has read more than {most} bytes");
            return Err(Failure::new(Class::Data, "TOO_MANY_BYTES", message).into());
        }
        Ok(())
    }

    fn settle(&mut self, settled: &mut Vec<Settled>, item: Settled, counts: Option<Counted>) {
        if let Some(counted) = counts {
            self.claimed.progress.count(counted);
        }
        settled.push(item);
    }

    /// Stops where the source holds too many items, with those that are about to be delivered. Before they are: what the
    /// target has done is committed in any case.
    fn refuse_too_many(&self, coming: u64) -> Result<(), Stop> {
        let (most, progress) = (self.claimed.options.limits.max_items, &self.claimed.progress);
        let held = progress.processed.saturating_sub(progress.deleted);
        if held.saturating_add(coming) > most {
            let message = format!("the source holds more than {most} items");
            return Err(Failure::new(Class::Data, "TOO_MANY_ITEMS", message).into());
        }
        Ok(())
    }

    /// Counts what a run would do, and marks the items as met.
    async fn foresee(&mut self, works: Vec<Work>, mut settled: Vec<Settled>, next: &Cursor) -> Result<(), Stop> {
        for work in works {
            let met = Settled {
                external_id: work.external_id,
                became: Became::Met,
            };
            self.settle(&mut settled, met, work.counts);
        }
        self.commit(&settled, Some(next)).await?;
        self.claimed.failures = Failures::default();
        Ok(())
    }

    async fn commit(&self, settled: &[Settled], next: Option<&Cursor>) -> Result<(), Stop> {
        let cursor = next.map(|next| serde_json::json!(next));
        let batch = Batch {
            settled,
            progress: &self.claimed.progress,
            cursor: cursor.as_ref(),
        };
        store::commit(&self.context.pool, &self.claimed.fence, batch).await?;
        self.context.probe.reach(Point::Committed).await;
        Ok(())
    }

    /// Records the intents, asks the target, commits what came of it, and stops when something did not.
    pub(super) async fn carry_out(
        &mut self,
        connection: &Connection,
        works: Vec<Work>,
        mut settled: Vec<Settled>,
        next: &Cursor,
    ) -> Result<(), Stop> {
        if self.claimed.options.dry_run {
            return self.foresee(works, settled, next).await;
        }
        let fence = self.claimed.fence.clone();
        if !works.is_empty() {
            let intents: Vec<(&str, &str)> = works.iter().filter_map(Work::intent).collect();
            store::intend(&self.context.pool, &fence, &intents).await?;
        }
        self.context.probe.reach(Point::Intended).await;
        let whose = whose(&fence, &self.claimed.roles, connection, &self.lease);
        let outcomes = deliver(self.context, &connection.target, whose, &works, &self.stopping).await;
        self.context.probe.reach(Point::BatchDelivered).await;
        let mut stop = refuse_refused(&outcomes);
        for (work, outcome) in works.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Failed(failure) => stop = Some(Stop::Failed(failure)),
                Outcome::Open => drop(stop.get_or_insert(Stop::Cancelled)),
                // Nothing may be written any more: whoever has the job finds what was done by the intents.
                Outcome::Lost => return Err(Stop::Store(store::Error::Fenced)),
                Outcome::Done { version } => {
                    let counts = work.counts;
                    self.settle(&mut settled, work.done(version), counts);
                }
                Outcome::Rejected { code, message } | Outcome::Forbidden { code, message } => {
                    let counts = work.counts.map(|_| Counted::Rejected);
                    self.settle(&mut settled, work.rejected(code, message), counts);
                }
            }
        }
        // Where an item is open, the batch is: the cursor stays before it.
        self.commit(&settled, stop.is_none().then_some(next)).await?;
        if let Some(stop) = stop {
            return Err(stop);
        }
        self.claimed.failures = Failures::default();
        Ok(())
    }
}

/// Says that the run has no rights at all when its target lets it write nothing of a batch. A few items prove nothing: those
/// may be the ones that somebody keeps for themselves.
fn refuse_refused(outcomes: &[Outcome]) -> Option<Stop> {
    let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Forbidden { .. });
    if outcomes.len() < AT_ONCE || !outcomes.iter().all(is_refused) {
        return None;
    }
    let message = "the target lets the job write none of the items: its roles are those of whoever started it";
    Some(Stop::Failed(Failure::new(Class::Auth, "TARGET_REFUSED", message)))
}
