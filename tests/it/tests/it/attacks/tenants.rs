//! Tenants beside each other, and tenants of every size.

use aeterna_projection::truth::Outcome;
use aeterna_tenancy::moves::Step;
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use crate::ground::{Ground, create};

#[tokio::test(flavor = "multi_thread")]
async fn attack_04_two_tenants_that_send_the_same_id_have_two_memories() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    let id = Uuid::now_v7();
    ground.write(&acme, vec![create(id, "of acme")]).await?;
    let written = ground.write(&globex, vec![create(id, "of globex")]).await?;
    ensure!(
        written.first().map(|done| done.outcome) == Some(Outcome::Created),
        "{written:?}"
    );
    ground.delete(&acme, id).await?;
    ensure!(ground.search(&acme, "of acme").await?.is_empty(), "acme's is deleted");
    ensure!(ground.search(&globex, "of globex").await?.len() == 1, "globex's lives");
    ground.assert_exact(&acme).await?;
    ground.assert_exact(&globex).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_24_a_tenant_without_rows_moves() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("nobody").await?;
    let away = ground.dedicated(&tenant).await?;
    let moved = ground.relocate(&tenant, &away).await?;
    ensure!(moved.progress.copied == 0, "{:?}", moved.progress);
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_24_a_tenant_of_many_pages_moves() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("large-corp").await?;
    ground.fill(&tenant, 20_500).await?;
    let away = ground.dedicated(&tenant).await?;
    let moved = ground.relocate(&tenant, &away).await?;
    ensure!(
        moved.progress.copied == 20_500 && moved.progress.repaired == 0,
        "{:?}",
        moved.progress
    );
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_15_a_move_during_the_retention_of_another_ends_it_and_both_sources_are_cleaned() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 60).await?;
    let (first, _) = ground.place(&tenant).await?;
    let second = ground.dedicated(&tenant).await?;
    let third = ground.shared("shared-shard-2", "memories-shared-2").await?;
    let away = ground.relocate(&tenant, &second).await?;
    let further = ground.begin(&tenant, &third, jiff::SignedDuration::ZERO).await?;
    ground
        .drive_until(&ground.context, &tenant, further, Step::Clean)
        .await?;
    ground
        .drive_until(&ground.context, &tenant, away.move_id, Step::Clean)
        .await?;
    ground.run_cleanups().await?;
    for gone in [&first, &second] {
        let left = ground
            .qdrant()
            .count(&gone.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
            .await?;
        ensure!(left == 0, "{left} points are left in {}", gone.shard_id);
    }
    ground
        .drive_until(&ground.context, &tenant, further, Step::Done)
        .await?;
    ground.assert_exact(&tenant).await?;
    // The dedicated shard has nobody left; its second life has another collection.
    ground
        .drive_until(&ground.context, &tenant, away.move_id, Step::Done)
        .await?;
    ensure!(
        aeterna_tenancy::shards::retire_if_unused(&ground.pool, ground.term, &second).await?,
        "it is unused"
    );
    ground
        .qdrant()
        .drop_collection(&second.collection, second.identity)
        .await?;
    let again = ground.dedicated(&tenant).await?;
    ensure!(
        again.collection == "memories-acme-g2",
        "a name is used once, not {}",
        again.collection
    );
    ground.relocate(&tenant, &again).await.context("into the second life")?;
    ground.assert_exact(&tenant).await
}
