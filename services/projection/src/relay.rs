//! Applies what the outbox still holds when its writer's claim is over: crashed applies, a store that was down.
//!
//! Claims are committed before anything is applied, and rows and route are read after the claim; two relays that meet, or a
//! relay that meets a slow writer, only repeat an apply, which rule R1 makes harmless. A shard that does not answer rests,
//! with a doubling pause, while the others go on.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;
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

#[derive(Debug, Clone, Copy)]
struct Resting {
    until: Instant,
    pause: Duration,
}

/// Runs the relay until the process ends.
pub async fn run(pool: PgPool, applier: Applier) {
    let mut resting: HashMap<ShardId, Resting> = HashMap::new();
    loop {
        let now = Instant::now();
        let asleep: Vec<ShardId> = resting
            .iter()
            .filter(|(_, rest)| rest.until > now)
            .map(|(shard, _)| shard.clone())
            .collect();
        let claimed = match truth::claim_leftovers(&pool, LIMIT, LEASE, &asleep).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(error = %error, "the outbox cannot be read");
                Vec::new()
            }
        };
        let full = i64::try_from(claimed.len()).is_ok_and(|count| count == LIMIT);
        for (shard, outcome) in apply_claimed(&applier, claimed).await {
            note(&mut resting, shard, outcome);
        }
        if !full {
            tokio::time::sleep(IDLE).await;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    Missing,
}

async fn apply_claimed(applier: &Applier, claimed: Vec<truth::Leftover>) -> Vec<(ShardId, Answer)> {
    let mut tenants: HashMap<String, Vec<(i64, Uuid)>> = HashMap::new();
    for leftover in claimed {
        tenants
            .entry(leftover.tenant_id)
            .or_default()
            .push((leftover.outbox_id, leftover.point_id));
    }
    let mut running = JoinSet::new();
    for (tenant, outbox) in tenants {
        let Ok(tenant) = TenantId::parse(tenant) else { continue };
        let applier = applier.clone();
        running.spawn(async move {
            let scope = TenantScope::for_worker(tenant);
            match applier.apply_current(&scope, &outbox).await {
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
        });
    }
    running.join_all().await.into_iter().flatten().collect()
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
