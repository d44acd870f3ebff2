//! The life of a move as status shows it.

use aeterna_relocator::compare::{Comparison, Newer, compare_page};
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::verifications::{self, Findings};
use anyhow::{Context as _, Result, ensure};

use crate::ground::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_done_when_both_runs_of_its_clean_up_are() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 25).await?;
    let (home, _) = ground.place(&tenant).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    let cleaning = ground.drive_until(&ground.context, &tenant, id, Step::Clean).await?;
    ensure!(
        cleaning.progress.pause_us.is_some_and(|pause| pause > 0),
        "{:?}",
        cleaning.progress
    );
    ensure!(
        cleaning.progress.verified_at.is_some() && cleaning.progress.compared == 25,
        "{:?}",
        cleaning.progress
    );
    ground.run_cleanups().await?;
    let done = ground.drive_until(&ground.context, &tenant, id, Step::Done).await?;
    ensure!(done.finished_at.is_some(), "{done:?}");
    let left = ground
        .qdrant()
        .count(&home.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
        .await?;
    ensure!(left == 0, "{left} points are left at home");
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_that_lasts_keeps_the_source() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 25).await?;
    let (home, floor) = ground.place(&tenant).await?;
    let away = ground.dedicated(&tenant).await?;
    let moved = ground.relocate(&tenant, &away).await?;
    ensure!(moved.retain_until.is_some(), "{moved:?}");
    let kept = ground
        .qdrant()
        .count(&home.collection, tenant.scope.tenant(), floor)
        .await?;
    ensure!(kept == 25, "{kept} points are kept");
    ensure!(
        aeterna_tenancy::moves::claim(&ground.pool, aeterna_tenancy::moves::LEASE)
            .await?
            .is_none(),
        "nothing is due"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_verification_is_answered_once() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 10).await?;
    let id = tenant.scope.tenant();
    verifications::request(&ground.pool, ground.term, id, "r1").await?;
    verifications::request(&ground.pool, ground.term, id, "r1").await?;
    let worker = tokio::spawn(aeterna_relocator::verifier::run(ground.context.clone()));
    ground
        .wait_until("the request is answered", async || {
            let answer = verifications::fetch(&ground.pool, id, "r1")
                .await?
                .context("it was requested")?;
            Ok(answer.findings
                == Some(Findings {
                    compared: 10,
                    ..Findings::default()
                }))
        })
        .await?;
    worker.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_walks_every_range_of_a_large_tenant() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 1_301).await?;
    let (shard, floor) = ground.place(&tenant).await?;
    let route = aeterna_tenancy::routes::fetch_route(&ground.pool, tenant.scope.tenant())
        .await?
        .context("the tenant has a route")?;
    let comparison = Comparison {
        pool: &ground.pool,
        store: &ground.qdrant(),
        scope: &tenant.scope,
        shard: &shard,
        floor,
        generation: floor,
        newer: Newer::Unconfirmed(&route),
    };
    let mut findings = Findings::default();
    let mut after = None;
    let mut pages = 0;
    loop {
        after = compare_page(&comparison, after, &mut findings).await?;
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    ensure!(
        findings
            == Findings {
                compared: 1_301,
                ..Findings::default()
            },
        "{findings:?}"
    );
    ensure!(pages == 3, "{pages} pages");
    Ok(())
}
