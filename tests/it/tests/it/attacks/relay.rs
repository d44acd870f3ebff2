//! The relay beside dead shards, and beside the service's own applies.

use std::sync::Arc;
use std::time::Duration;

use aeterna_projection::apply::{Applied, Applier};
use aeterna_projection::store::Stores;
use aeterna_projection::truth::{self, WriteItem};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Result, ensure};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::ground::{Ground, MODEL, PATIENCE, Tenant, create, pending};

/// Starts a relay of its own.
fn start_relay(ground: &Ground) -> JoinHandle<()> {
    let applier = Applier::new(ground.pool.clone(), Stores::new(None));
    tokio::spawn(aeterna_projection::relay::run(ground.pool.clone(), applier))
}

/// Writes without applying: at once the relay's.
async fn leave(ground: &Ground, tenant: &Tenant, count: usize) -> Result<()> {
    for n in 0..count {
        let items = [create(Uuid::now_v7(), &format!("left {n}"))];
        truth::write(&ground.pool, &tenant.scope, MODEL, &items, Duration::ZERO).await?;
    }
    Ok(())
}

async fn count_outbox(ground: &Ground, tenant: &Tenant) -> Result<i64> {
    let count = sqlx::query_scalar("select count(*) from memory.outbox where tenant_id = $1")
        .bind(tenant.scope.tenant().as_str())
        .fetch_one(&ground.root);
    Ok(count.await?)
}

/// Puts a tenant on a dedicated shard.
async fn settle_in(ground: &Ground, tenant: &Tenant) -> Result<String> {
    let shard = ground.dedicated(tenant).await?;
    sqlx::query("update routing.tenants set shard_id = $2 where tenant_id = $1")
        .bind(tenant.scope.tenant().as_str())
        .bind(&shard.shard_id)
        .execute(&ground.root)
        .await?;
    Ok(shard.collection)
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_shards_that_refuse_or_hang_do_not_hold_the_others() -> Result<()> {
    let ground = Ground::new().await?;
    let (refusing, hanging) = (ground.tenant("refusing").await?, ground.tenant("hanging").await?);
    let well = ground.tenant("well").await?;
    settle_in(&ground, &refusing).await?;
    let hangs = settle_in(&ground, &hanging).await?;
    // A port that nobody listens on: bound once, and free again.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    sqlx::query("update routing.shards set endpoint = $1 where shard_id = 'dedicated-refusing'")
        .bind(format!("http://{dead}"))
        .execute(&ground.root)
        .await?;
    let mut held = ground.faults().hold(Target::from(Op::Upsert).of(hangs));
    leave(&ground, &refusing, 10).await?;
    leave(&ground, &hanging, 10).await?;
    let relay = start_relay(&ground);
    tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;
    // The request that hangs will for 5 s; what is written now is not to wait for it.
    let since = Instant::now();
    leave(&ground, &well, 10).await?;
    ground
        .wait_until("the well one is indexed", async || {
            Ok(count_outbox(&ground, &well).await? == 0)
        })
        .await?;
    ensure!(
        since.elapsed() < Duration::from_secs(4),
        "it waited {:?} for a shard that hangs",
        since.elapsed()
    );
    relay.abort();
    for tenant in [&refusing, &hanging] {
        let left = count_outbox(&ground, tenant).await?;
        ensure!(left == 10, "they wait in the outbox, not {left}");
    }
    held.release();
    ensure!(ground.search(&well, "left 1").await?.len() == 10, "and is searchable");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_the_relay_and_the_services_own_apply_at_the_same_rows_do_no_harm() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    let relay = start_relay(&ground);
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (ground, tenant) = (Arc::clone(&ground), tenant.clone());
            tokio::spawn(async move {
                for n in 0..50 {
                    // No claim: the relay may take each row while its writer applies it, and before it is deleted.
                    let items = [create(Uuid::now_v7(), &format!("{worker} {n}"))];
                    let written = truth::write(&ground.pool, &tenant.scope, MODEL, &items, Duration::ZERO).await?;
                    let gone = written.first().filter(|_| n % 2 == 0).map(|done| done.id);
                    let apply = ground.apply(&tenant, &items, &written, PATIENCE);
                    let delete = async {
                        match gone {
                            Some(id) => {
                                let bare = [WriteItem::bare(truth::Kind::Delete, id)];
                                truth::write(&ground.pool, &tenant.scope, MODEL, &bare, Duration::ZERO)
                                    .await
                                    .map(drop)
                            }
                            None => Ok(()),
                        }
                    };
                    let (_, deleted) = tokio::join!(apply, delete);
                    deleted?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    ground
        .wait_until("the outbox is empty", async || {
            Ok(count_outbox(&ground, &tenant).await? == 0)
        })
        .await?;
    relay.abort();
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_full_leaves_rows_to_the_relay_at_once() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    let mut held = ground.faults().hold(Target::from(Op::Upsert).of("memories-shared"));
    let mut waiting = Vec::new();
    for n in 0..9 {
        let items: Vec<WriteItem> = (0..500).map(|m| create(Uuid::now_v7(), &format!("{n} {m}"))).collect();
        let written = truth::write(&ground.pool, &tenant.scope, MODEL, &items, PATIENCE).await?;
        let (ground, tenant) = (Arc::clone(&ground), tenant.clone());
        waiting.push(tokio::spawn(async move {
            let first = written.first().expect("written");
            let rows = items
                .iter()
                .zip(&written)
                .filter_map(|(item, done)| pending(item, done))
                .collect();
            ground
                .applier
                .apply(&tenant.scope, &first.shard, first.generation, rows, PATIENCE)
                .await
        }));
        if n == 0 {
            tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;
        }
    }
    let since = Instant::now();
    // One is under way and four wait: the other four were told at once, while the store still hangs.
    ground
        .wait_until("the lane has refused some", async || {
            Ok(waiting.iter().filter(|task| task.is_finished()).count() >= 4)
        })
        .await?;
    ensure!(
        since.elapsed() < Duration::from_secs(4),
        "they waited for the request that hangs"
    );
    held.release();
    let mut refused = 0;
    for task in waiting {
        refused += usize::from(task.await? == Applied::Pending);
    }
    ensure!(refused >= 4, "{refused} were refused");
    ground.assert_exact(&tenant).await
}
