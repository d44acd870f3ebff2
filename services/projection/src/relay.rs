//! Applies what the outbox still holds when its writer's claim is over: crashed applies, a store that was down.
//!
//! Claims are committed before anything is applied, and rows and route are read after the claim; two relays that meet, or a
//! relay that meets a slow writer, only repeat an apply, which rule R1 makes harmless. A shard that does not answer rests,
//! with a doubling pause, while the others go on.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_tenancy::ShardId;

use crate::apply::{self, Applier};
use crate::truth;

/// How long a claimed leftover is kept from other relays: a request deadline of 5 s twice, and a margin.
const LEASE: Duration = Duration::from_secs(12);

/// Between two looks at an empty outbox.
const IDLE: Duration = Duration::from_millis(500);

/// The first and the longest rest of a shard that did not answer.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Leftovers claimed at once.
const LIMIT: i64 = 1_000;

/// Shards that are worked on at the same time.
const SHARDS: usize = 16;

/// Tenants of one shard that are worked on at the same time.
const TENANTS: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Resting {
    until: Instant,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    Missing,
}

/// The tasks under way, one a shard: a shard that hangs holds its own, and nobody else's.
#[derive(Default)]
struct Rounds {
    running: JoinSet<Vec<(ShardId, Answer)>>,
    shards: HashMap<task::Id, ShardId>,
}

/// Runs the relay until the process ends.
pub async fn run(pool: PgPool, applier: Applier) {
    let mut resting: HashMap<ShardId, Resting> = HashMap::new();
    let mut rounds = Rounds::default();
    loop {
        let mut full = false;
        if rounds.shards.len() < SHARDS {
            let now = Instant::now();
            let asleep = resting
                .iter()
                .filter(|(_, rest)| rest.until > now)
                .map(|(shard, _)| shard);
            let but: Vec<ShardId> = asleep.chain(rounds.shards.values()).cloned().collect();
            match truth::claim_leftovers(&pool, LIMIT, LEASE, &but).await {
                Ok(claimed) => {
                    full = i64::try_from(claimed.len()).is_ok_and(|count| count == LIMIT);
                    rounds.begin(&applier, claimed);
                }
                Err(error) => tracing::warn!(error = %error, "the outbox cannot be read"),
            }
        }
        // More may be due for other shards; else for one that is through, or after a while.
        let pause = if full { Duration::ZERO } else { IDLE };
        let ended = tokio::time::timeout(pause, rounds.next()).await;
        for (shard, answer) in ended.unwrap_or_default() {
            note(&mut resting, shard, answer);
        }
    }
}

impl Rounds {
    /// Begins a task for each shard of the leftovers.
    fn begin(&mut self, applier: &Applier, claimed: Vec<truth::Leftover>) {
        let mut shards: HashMap<ShardId, HashMap<String, Vec<(i64, Uuid)>>> = HashMap::new();
        for leftover in claimed {
            shards
                .entry(leftover.shard_id)
                .or_default()
                .entry(leftover.tenant_id)
                .or_default()
                .push((leftover.outbox_id, leftover.point_id));
        }
        for (shard, tenants) in shards {
            let begun = self.running.spawn(apply_to_shard(applier.clone(), tenants));
            self.shards.insert(begun.id(), shard);
        }
    }

    /// Waits for a task to end; for ever when there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Vec<(ShardId, Answer)> {
        let Some(ended) = self.running.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, answers) = match ended {
            Ok((id, answers)) => (id, answers),
            Err(error) => {
                tracing::error!(%error, "a round of the relay failed");
                (error.id(), Vec::new())
            }
        };
        self.shards.remove(&id);
        answers
    }
}

/// Applies the leftovers of one shard's tenants, until the shard does not answer.
async fn apply_to_shard(applier: Applier, tenants: HashMap<String, Vec<(i64, Uuid)>>) -> Vec<(ShardId, Answer)> {
    let mut left = tenants.into_iter();
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    loop {
        let missing = answers.iter().any(|(_, answer)| *answer == Answer::Missing);
        while running.len() < TENANTS
            && !missing
            && let Some((tenant, outbox)) = left.next()
        {
            let applier = applier.clone();
            running.spawn(async move { apply_to_tenant(&applier, tenant, &outbox).await });
        }
        match running.join_next().await {
            Some(answer) => answers.extend(answer.ok().flatten()),
            None => return answers,
        }
    }
}

async fn apply_to_tenant(applier: &Applier, tenant: String, outbox: &[(i64, Uuid)]) -> Option<(ShardId, Answer)> {
    let scope = TenantScope::for_worker(TenantId::parse(tenant).ok()?);
    match applier.apply_current(&scope, outbox).await {
        Ok(confirmed) => {
            metrics::counter!("relay_applied_total")
                .increment(u64::try_from(confirmed.outbox.len()).unwrap_or_default());
            confirmed.shard.map(|shard| (shard, Answer::Given))
        }
        Err(apply::Error::Store { shard, source }) => {
            tracing::info!(%shard, error = %source, "leftovers wait for their shard");
            Some((shard, Answer::Missing))
        }
        Err(other) => {
            tracing::warn!(error = %other, "leftovers wait");
            None
        }
    }
}

fn note(resting: &mut HashMap<ShardId, Resting>, shard: ShardId, answer: Answer) {
    match answer {
        Answer::Given => {
            resting.remove(&shard);
        }
        Answer::Missing => {
            let pause = resting.get(&shard).map_or(REST.0, |rest| (rest.pause * 2).min(REST.1));
            resting.insert(
                shard,
                Resting {
                    until: Instant::now() + pause,
                    pause,
                },
            );
        }
    }
}
