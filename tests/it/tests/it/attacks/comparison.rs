//! Verifications of a live projection: what they must not find, must not repair, and must.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aeterna_projection::store::Stamp;
use aeterna_relocator::verifier;
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::verifications::{self, Findings};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use crate::ground::{Ground, PATIENCE, create};

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_under_writes_finds_no_difference_where_there_is_none() -> Result<()> {
    let ground = Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 600).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (ground, tenant, stop) = (Arc::clone(&ground), tenant.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = Uuid::now_v7();
                    ground
                        .write(&tenant, vec![create(id, &format!("{writer} {n}"))])
                        .await?;
                    ground.delete(&tenant, id).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for _ in 0..30 {
        let found = verifier::verify(&ground.context, "acme").await?;
        let none = Findings {
            compared: found.compared,
            ..Findings::default()
        };
        ensure!(found == none, "{found:?}");
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await??;
    }
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_a_flip_overtakes_brings_nothing_back_to_the_cleaned_source() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 30).await?;
    let (home, _) = ground.place(&tenant).await?;
    let lost: Uuid = sqlx::query_scalar("select point_id from memory.memories limit 1")
        .fetch_one(&ground.root)
        .await?;
    ground.delete_points(&home.collection, &[lost]).await?;
    // It has found the difference, and looks once more.
    let mut held = ground.faults().hold_next(Target::from(Op::Get).of(&home.collection));
    let context = ground.context.clone();
    let verifying = tokio::spawn(async move {
        // The reserved point is read first.
        verifier::verify(&context, "acme").await
    });
    tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;
    let looking = ground.faults().hold_next(Target::from(Op::Get).of(&home.collection));
    held.release();
    let mut looking = looking;
    tokio::time::timeout(PATIENCE, looking.until_waiting(1)).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Clean).await?;
    ground.run_cleanups().await?;
    looking.release();
    let refused = verifying.await?;
    ensure!(refused.is_err(), "the route is another: {refused:?}");
    let back = ground
        .qdrant()
        .count(&home.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
        .await?;
    ensure!(back == 0, "{back} points came back");
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_was_damaged_at_its_rows_own_version_is_written_anew() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let item = create(Uuid::now_v7(), "whole");
    let written = ground.write(&tenant, vec![item.clone()]).await?;
    let (shard, generation) = ground.place(&tenant).await?;
    let done = written.first().context("one answer")?;
    let mut row = crate::ground::pending(&item, done).context("created")?.row;
    row.embedding.reverse();
    ground.delete_points(&shard.collection, &[row.point_id]).await?;
    let stamp = Stamp {
        tenant: tenant.scope.tenant(),
        generation,
    };
    ground
        .qdrant()
        .upsert(&shard.collection, stamp, &[row], PATIENCE)
        .await?;
    let found = verifier::verify(&ground.context, "acme").await?;
    ensure!((found.stale, found.repaired) == (1, 1), "{found:?}");
    ground.assert_exact(&tenant).await?;
    // Also in the target of a move, where the same rule keeps the same point.
    let away = ground.dedicated(&tenant).await?;
    ground.relocate(&tenant, &away).await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_whose_relocator_died_is_soon_another_ones() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 3).await?;
    verifications::request(&ground.pool, ground.term, tenant.scope.tenant(), "r1").await?;
    let mut held = ground.faults().hold(Target::from(Op::Scroll));
    let dead = tokio::spawn(verifier::run(ground.context.clone()));
    tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;
    dead.abort();
    held.release();
    let left: f64 =
        sqlx::query_scalar("select extract(epoch from lease_until - now())::float8 from routing.verifications")
            .fetch_one(&ground.root)
            .await?;
    ensure!(left <= 30.0, "the next one has to wait {left} s");
    Ok(())
}
