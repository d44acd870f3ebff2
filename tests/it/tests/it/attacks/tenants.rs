//! Tenants beside each other, and tenants of every size.

use aeterna_projection::apply::Applier;
use aeterna_projection::store::Stores;
use aeterna_projection::truth::{self, Outcome};
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::shards::ShardKind;
use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use crate::ground::{Ground, MODEL, create};

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
async fn attack_11_a_dead_shard_does_not_hold_the_others() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    ground.dedicated(&acme).await?;
    // A port that nobody listens on: bound once, and free again.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    sqlx::query("update routing.shards set endpoint = $1 where shard_id = 'dedicated-acme'")
        .bind(format!("http://{dead}"))
        .execute(&ground.root)
        .await?;
    sqlx::query("update routing.tenants set shard_id = 'dedicated-acme' where tenant_id = 'acme'")
        .execute(&ground.root)
        .await?;
    let no_wait = std::time::Duration::ZERO;
    for n in 0..20 {
        truth::write(
            &ground.pool,
            &acme.scope,
            MODEL,
            &[create(Uuid::now_v7(), &format!("a {n}"))],
            no_wait,
        )
        .await?;
        truth::write(
            &ground.pool,
            &globex.scope,
            MODEL,
            &[create(Uuid::now_v7(), &format!("g {n}"))],
            no_wait,
        )
        .await?;
    }
    let applier = Applier::new(ground.pool.clone(), Stores::new(None));
    let relay = tokio::spawn(aeterna_projection::relay::run(ground.pool.clone(), applier));
    ground
        .wait_until("globex is indexed", async || {
            Ok(ground.search(&globex, "g 1").await?.len() == 20)
        })
        .await?;
    relay.abort();
    let left: i64 = sqlx::query_scalar("select count(*) from memory.outbox where tenant_id = 'acme'")
        .fetch_one(&ground.root)
        .await?;
    ensure!(left == 20, "acme's wait in the outbox, not {left}");
    Ok(())
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
    let third = ground
        .shard(ShardKind::Shared, "shared-shard-2", "memories-shared-2", 10)
        .await?;
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
    ground.qdrant().drop_collection(&second).await?;
    let again = ground.dedicated(&tenant).await?;
    ensure!(
        again.collection == "memories-acme-g2",
        "a name is used once, not {}",
        again.collection
    );
    ground.relocate(&tenant, &again).await.context("into the second life")?;
    ground.assert_exact(&tenant).await
}
