//! Starts, ends and removals of one connection at the same time: none waits for one that waits for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sqlx::{Postgres, Transaction};
use sync_service::store;
use sync_service::worker::{Ended, LEASE, drive};

use super::service::{Sync, directory};

/// Takes all connections as whoever forgets them does.
pub async fn hold_connections(sync: &Sync) -> Result<Transaction<'static, Postgres>> {
    let mut tx = sync.memory.ground.root.begin().await?;
    sqlx::query("select id from sync.connections for update")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Waits until somebody waits for a lock.
pub async fn somebody_waits(sync: &Sync) -> Result<()> {
    let select = "select exists (select from pg_stat_activity
                  where datname = current_database() and wait_event_type = 'Lock')";
    let waiting = async {
        while !sqlx::query_scalar(select).fetch_one(&sync.memory.ground.root).await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .context("nobody waits")?
}

#[tokio::test]
async fn a_start_does_not_wait_for_a_job_that_ends() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.start_job("acme", &directory("")).await?.expect(202)?;
    // As the end of a job changes its connection, and is not committed yet.
    let mut ending = sync.memory.ground.root.begin().await?;
    sqlx::query("update sync.connections set state = '{}', settled = true")
        .execute(&mut *ending)
        .await?;
    sync.start_job("acme", &directory(""))
        .await?
        .expect_problem(409, "SYNC_IN_PROGRESS")?;
    ending.rollback().await?;
    Ok(())
}

/// The claim found nothing as long as somebody held the one job of the tenant whose turn it was.
#[tokio::test]
async fn a_tenant_whose_job_is_held_does_not_keep_the_others_waiting() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let held = sync.start_job("acme", &directory("")).await?.id()?;
    sync.start_job("globex", &directory("")).await?.expect(202)?;
    sync.start_job("initech", &directory("")).await?.expect(202)?;
    // As a cancellation holds it.
    let mut cancelling = sync.memory.ground.root.begin().await?;
    sqlx::query("select id from sync.jobs where tenant_id = 'acme' for update")
        .execute(&mut *cancelling)
        .await?;
    let others = [sync.claim().await?, sync.claim().await?].map(|job| job.fence.scope.tenant().to_string());
    ensure!(others == ["globex", "initech"], "{others:?}");
    ensure!(store::claim(&sync.state.pool, LEASE, 2).await?.is_none());
    cancelling.rollback().await?;
    // It is still the one that was served longest ago.
    sync.start_job("globex", &directory("more")).await?.expect(202)?;
    ensure!(sync.claim().await?.fence.job == held);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starts_and_ends_at_once_are_all_served() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let body = directory("");
    sync.start_job("acme", &body).await?.expect(202)?;
    for round in 0..40 {
        let ending = async {
            match store::claim(&sync.state.pool, LEASE, 2).await? {
                Some(claimed) => anyhow::Ok(Some(drive(&sync.context(), claimed).await)),
                None => Ok(None),
            }
        };
        let starting = futures::future::try_join_all((0..6).map(|_| sync.start_job("acme", &body)));
        let (ended, answers) = futures::try_join!(ending, starting)?;
        ensure!(!matches!(ended, Some(Ended::Fenced)), "round {round}: the end is lost");
        for answer in answers {
            ensure!([202, 409].contains(&answer.status), "round {round}: {}", answer.text);
        }
        // There is one for the next round.
        sync.start_job("acme", &body).await?;
    }
    let jobs = sync.get("acme", "/api/v1/sync/jobs?status=succeeded").await?;
    ensure!(
        jobs.body["items"].as_array().is_some_and(|jobs| jobs.len() > 30),
        "{}",
        jobs.text
    );
    ensure!(jobs.body["items"][0]["progress"]["rejected"] == json!(0));
    Ok(())
}
