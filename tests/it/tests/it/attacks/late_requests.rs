//! Requests to the store that are applied long after their sender gave up.

use std::time::Duration;

use aeterna_projection::apply::Applied;
use aeterna_projection::store::Stamp;
use aeterna_projection::truth::{self, Kind, WriteItem};
use aeterna_relocator::drive::drive;
use aeterna_relocator::{Point, Probe, cleaner};
use aeterna_tenancy::Generation;
use aeterna_tenancy::cleanups;
use aeterna_tenancy::moves::{self, Step};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use crate::ground::{Ground, PATIENCE, create, pending};

#[tokio::test(flavor = "multi_thread")]
async fn attack_01_a_clean_up_that_lands_after_the_tenant_came_back_deletes_nothing_of_it() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 50).await?;
    let (home, _) = ground.place(&tenant).await?;
    let away = ground.dedicated(&tenant).await?;

    // There, and at once into the clean-up of the first home.
    let there = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    ground.drive_until(&ground.context, &tenant, there, Step::Clean).await?;
    sqlx::query("update routing.cleanups set not_before = now()")
        .execute(&ground.root)
        .await?;
    let due = cleanups::fetch_due(&ground.pool).await?;
    let cleanup = due.into_iter().next().context("the source is in the ledger")?;
    let mut held = ground.faults().hold_next(Target::from(Op::Delete).of(&home.collection));
    let context = ground.context.clone();
    let stalled = tokio::spawn(async move { cleaner::clean(&context, &cleanup).await });
    tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;

    // Back home while the delete hangs.
    ground.relocate(&tenant, &home).await?;
    held.release();
    // The cleaner itself may have given up by now; the delete lands all the same.
    let _ = stalled.await?;
    tokio::time::timeout(PATIENCE, ground.faults().until_quiet()).await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_03_a_batch_of_old_and_new_versions_overwrites_only_older_points() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let (shard, generation) = ground.place(&tenant).await?;
    let items = [create(Uuid::now_v7(), "x"), create(Uuid::now_v7(), "y")];
    let written = truth::write(&ground.pool, &tenant.scope, crate::ground::MODEL, &items, PATIENCE).await?;
    let mut rows = items
        .iter()
        .zip(&written)
        .filter_map(|(item, done)| pending(item, done));
    let (mut x, mut y) = (rows.next().context("x")?.row, rows.next().context("y")?.row);
    let stamp = Stamp {
        tenant: tenant.scope.tenant(),
        generation,
    };
    x.version = 5;
    ground
        .qdrant()
        .upsert(&shard.collection, stamp, &[x.clone()], PATIENCE)
        .await?;
    x.version = 1;
    y.version = 9;
    ground
        .qdrant()
        .upsert(&shard.collection, stamp, &[x.clone(), y.clone()], PATIENCE)
        .await?;
    let found = ground
        .qdrant()
        .fetch(&shard.collection, &[x.point_id, y.point_id], PATIENCE)
        .await?;
    let version = |id| {
        found
            .iter()
            .find(|point| point.point_id == id)
            .map(|point| point.version)
    };
    ensure!(version(x.point_id) == Some(5), "v1 overwrote v5");
    ensure!(version(y.point_id) == Some(9), "y was not taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_03_two_versions_of_one_point_in_a_batch_leave_the_newer() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let (shard, generation) = ground.place(&tenant).await?;
    let item = create(Uuid::now_v7(), "x");
    let written = truth::write(
        &ground.pool,
        &tenant.scope,
        crate::ground::MODEL,
        std::slice::from_ref(&item),
        PATIENCE,
    )
    .await?;
    let old = pending(&item, written.first().context("written")?)
        .context("created")?
        .row;
    let new = truth::Row {
        version: old.version + 1,
        ..old.clone()
    };
    let stamp = Stamp {
        tenant: tenant.scope.tenant(),
        generation,
    };
    ground
        .qdrant()
        .upsert(&shard.collection, stamp, &[new.clone(), old], PATIENCE)
        .await?;
    let found = ground
        .qdrant()
        .fetch(&shard.collection, &[new.point_id], PATIENCE)
        .await?;
    ensure!(
        found.first().map(|point| point.version) == Some(new.version),
        "the older one won: {found:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_05_an_upsert_that_lands_after_the_delete_does_not_bring_the_memory_back() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let (shard, _) = ground.place(&tenant).await?;
    let held = ground
        .faults()
        .hold_next(Target::from(Op::Upsert).of(&shard.collection));
    let items = vec![create(Uuid::now_v7(), "soon deleted")];
    let written = truth::write(&ground.pool, &tenant.scope, crate::ground::MODEL, &items, PATIENCE).await?;
    let applied = ground.apply(&tenant, &items, &written, Duration::from_millis(50)).await;
    ensure!(applied == Applied::Pending, "the store holds the upsert");

    // The relay's retry overtakes it, and so does the deletion.
    ground.settle_outbox().await?;
    ground.delete(&tenant, written.first().context("written")?.id).await?;
    held.release();
    tokio::time::timeout(PATIENCE, ground.faults().until_quiet()).await?;
    ensure!(
        ground.search(&tenant, "soon deleted").await?.is_empty(),
        "a deleted memory came back"
    );
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_05_a_zombie_movers_page_that_lands_after_the_flip_changes_nothing() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let ids = ground.fill(&tenant, 40).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;

    // The first mover's page hangs in the store; the mover is gone.
    let mut held = ground.faults().hold_next(Target::from(Op::Upsert).of(&away.collection));
    let claimed = moves::claim(&ground.pool, moves::LEASE)
        .await?
        .context("the move is claimable")?;
    let context = ground.context.clone();
    let zombie = tokio::spawn(async move { drive(&context, claimed).await });
    tokio::time::timeout(PATIENCE, held.until_waiting(1)).await?;
    zombie.abort();

    // Half of what it had read is deleted before the second mover begins, some of the rest during it.
    for gone in ids.iter().take(20) {
        ground.delete(&tenant, *gone).await?;
    }
    ground.expire_leases().await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Retain).await?;
    for gone in ids.iter().skip(20).take(10) {
        ground.delete(&tenant, *gone).await?;
    }
    held.release();
    tokio::time::timeout(PATIENCE, ground.faults().until_quiet()).await?;
    // The first mover saved its watermark before its page: the second one's delta had the markers of what was deleted.
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_claim_was_taken_over_cannot_walk_on() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 10).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let probe = Probe::new(move |point| {
        let mut stopped = stopped.clone();
        Box::pin(async move {
            if point == Point::Worked(Step::CatchUp) {
                let _ = stopped.wait_for(|go_on| *go_on).await;
            }
        })
    });
    let context = aeterna_relocator::drive::Context {
        probe,
        ..ground.context.clone()
    };
    let claimed = moves::claim(&ground.pool, moves::LEASE)
        .await?
        .context("the move is claimable")?;
    let first = tokio::spawn(async move { drive(&context, claimed).await });
    ground.wait_for_step(&tenant, id, Step::CatchUp).await?;
    ground.expire_leases().await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Retain).await?;
    stop.send(true)?;
    ensure!(
        first.await? == aeterna_relocator::drive::Ended::Fenced,
        "the stopped worker went on"
    );
    ensure!(
        ground.fetch_move(&tenant, id).await?.progress.step == Step::Retain,
        "the step was changed"
    );
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_delete_leaves_other_tenants_and_newer_generations_alone() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    ground.fill(&acme, 5).await?;
    ground.fill(&globex, 5).await?;
    let (shard, generation) = ground.place(&acme).await?;
    let below = Generation(generation.0 - 1);
    ground
        .qdrant()
        .delete_range(&shard.collection, acme.scope.tenant(), Generation(0)..=below)
        .await?;
    ground.assert_exact(&acme).await?;
    ground
        .qdrant()
        .delete_range(&shard.collection, acme.scope.tenant(), Generation(0)..=generation)
        .await?;
    ground.assert_exact(&globex).await?;
    let left = ground
        .qdrant()
        .count(&shard.collection, acme.scope.tenant(), Generation(0))
        .await?;
    ensure!(left == 0, "{left} points are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_a_poisoned_point_holds_nobody_else_in_its_batch() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let mut items: Vec<WriteItem> = (0..9).map(|n| create(Uuid::now_v7(), &format!("good {n}"))).collect();
    let mut poisoned = create(Uuid::now_v7(), "poisoned");
    poisoned.embedding = vec![1.0; 3];
    items.insert(4, poisoned);
    let written = truth::write(&ground.pool, &tenant.scope, crate::ground::MODEL, &items, PATIENCE).await?;
    let applied = ground.apply(&tenant, &items, &written, PATIENCE).await;
    ensure!(applied == Applied::Pending, "the poisoned one cannot be indexed");
    ensure!(
        ground.search(&tenant, "good 3").await?.len() == 9,
        "the others are searchable"
    );
    let left: i64 = sqlx::query_scalar("select count(*) from memory.outbox")
        .fetch_one(&ground.root)
        .await?;
    ensure!(left == 1, "only the poisoned one is left in the outbox, not {left}");
    // Deleting it frees the outbox: a marker has no vector.
    let id = written.get(4).context("the poisoned one")?.id;
    let bare = WriteItem::bare(Kind::Delete, id);
    truth::write(&ground.pool, &tenant.scope, crate::ground::MODEL, &[bare], PATIENCE).await?;
    ground.assert_exact(&tenant).await
}
