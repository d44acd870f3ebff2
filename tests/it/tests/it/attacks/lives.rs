//! A shard name that lives twice, and the collection that its first life left behind.

use aeterna_relocator::cleaner;
use aeterna_tenancy::cleanups;
use aeterna_tenancy::moves::{self, Step};
use aeterna_tenancy::shards::{self, Shard};
use aeterna_vectorstore::{Op, Target};
use anyhow::{Context as _, Result, ensure};
use tonic::Code;
use uuid::Uuid;

use crate::ground::{Ground, Tenant, create};

/// Moves a tenant there and back again, and retires where it was; the drop of the collection fails.
async fn leave_behind(ground: &Ground, tenant: &Tenant) -> Result<Shard> {
    let (home, _) = ground.place(tenant).await?;
    let first = ground.dedicated(tenant).await?;
    let there = ground.relocate(tenant, &first).await?;
    // The applier has written into this life.
    ground
        .write(tenant, vec![create(Uuid::now_v7(), "in the first life")])
        .await?;
    let back = ground.begin(tenant, &home, jiff::SignedDuration::ZERO).await?;
    ground.drive_until(&ground.context, tenant, back, Step::Clean).await?;
    ground
        .drive_until(&ground.context, tenant, there.move_id, Step::Clean)
        .await?;
    ground.run_cleanups().await?;
    ground.drive_until(&ground.context, tenant, back, Step::Done).await?;
    ground
        .drive_until(&ground.context, tenant, there.move_id, Step::Done)
        .await?;
    ensure!(
        shards::retire_if_unused(&ground.pool, ground.term, &first).await?,
        "it is unused"
    );
    Ok(first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_left_over_from_an_earlier_life_takes_no_point_of_the_next() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 20).await?;
    let first = leave_behind(&ground, &tenant).await?;
    let second = ground.dedicated(&tenant).await?;
    ensure!(
        second.shard_id == first.shard_id && second.collection != first.collection,
        "another life: {second:?}"
    );
    ground.relocate(&tenant, &second).await?;
    ground.fill(&tenant, 5).await?;
    let strayed = ground
        .qdrant()
        .count(&first.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
        .await?;
    ensure!(strayed == 0, "{strayed} points went into the left-over collection");
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_fails_waits_longer_each_time_and_its_move_says_why() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 20).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    ground.drive_until(&ground.context, &tenant, id, Step::Clean).await?;
    ground.faults().fail(Target::from(Op::Delete), Code::PermissionDenied);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        sqlx::query("update routing.cleanups set not_before = now()")
            .execute(&ground.root)
            .await?;
        let due = cleanups::fetch_due(&ground.pool).await?;
        cleaner::run_once(&ground.context, due.first().context("it is due")?).await;
        let pause: f64 =
            sqlx::query_scalar("select extract(epoch from not_before - now())::float8 from routing.cleanups")
                .fetch_one(&ground.root)
                .await?;
        pauses.push(pause);
    }
    ensure!(pauses.is_sorted() && pauses.last() > Some(&2.0), "{pauses:?}");
    let moving = drive_once(&ground, &tenant, id).await?;
    let error = moving.progress.error.unwrap_or_default();
    ensure!(error.contains("delete points"), "the move says {error:?}");
    ground.faults().clear();
    ground.run_cleanups().await?;
    let done = ground.drive_until(&ground.context, &tenant, id, Step::Done).await?;
    ensure!(done.progress.error.is_none(), "{:?}", done.progress);
    Ok(())
}

async fn drive_once(ground: &Ground, tenant: &Tenant, id: aeterna_tenancy::MoveId) -> Result<moves::Move> {
    ground.expire_leases().await?;
    let claimed = moves::claim(&ground.pool, moves::LEASE).await?.context("it is due")?;
    aeterna_relocator::drive::drive(&ground.context, claimed).await;
    ground.fetch_move(tenant, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_fails_waits_longer_each_time_and_forgets_it_at_the_first_success() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 20).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    ground
        .faults()
        .fail(Target::from(Op::Upsert).of(&away.collection), Code::PermissionDenied);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let moving = drive_once(&ground, &tenant, id).await?;
        ensure!(moving.progress.error.is_some(), "{:?}", moving.progress);
        let pause: f64 = sqlx::query_scalar("select extract(epoch from not_before - now())::float8 from routing.moves")
            .fetch_one(&ground.root)
            .await?;
        pauses.push(pause);
    }
    ensure!(pauses.is_sorted() && pauses.last() > Some(&5.0), "{pauses:?}");
    ground.faults().clear();
    ground.expire_leases().await?;
    // One page is through, and the copy not at its end.
    ground.crash_at(aeterna_relocator::Point::Worked(Step::Copy)).await?;
    let progress = ground.fetch_move(&tenant, id).await?.progress;
    ensure!(
        progress.error.is_none() && progress.waiting_for.is_none() && progress.failures == 0,
        "{progress:?}"
    );
    Ok(())
}
