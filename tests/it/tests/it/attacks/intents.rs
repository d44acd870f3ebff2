//! Who may want what: old leaders, doubled shards, doubled moves, cancels.

use aeterna_relocator::Point;
use aeterna_tenancy::moves::{self, NewMove, Step};
use aeterna_tenancy::shards::NewShard;
use aeterna_tenancy::{Error, leader, shards};
use anyhow::{Result, ensure};

use crate::ground::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_second_shard_on_one_collection_is_refused() -> Result<()> {
    let ground = Ground::new().await?;
    let twin = ground.new_shard(None, "shared-shard-2", "memories-shared");
    let refused = shards::record_shard(&ground.pool, ground.term, &twin).await;
    ensure!(matches!(refused, Err(Error::CollectionNameUsed { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_collection_with_another_identity_is_not_touched() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 3).await?;
    let (mut shard, _) = ground.place(&tenant).await?;
    shard.identity = uuid::Uuid::new_v4();
    let refused = ground.qdrant().ensure_collection(&shard).await;
    ensure!(
        matches!(refused, Err(aeterna_projection::store::Error::OtherIdentity { .. })),
        "{refused:?}"
    );
    let refused = ground.qdrant().drop_collection(&shard.collection, shard.identity).await;
    ensure!(
        matches!(refused, Err(aeterna_projection::store::Error::OtherIdentity { .. })),
        "{refused:?}"
    );
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_name_that_is_another_shards_is_refused() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    ground.dedicated(&acme).await?;
    let record = async |new: NewShard| shards::record_shard(&ground.pool, ground.term, &new).await;

    let shared = ground.new_shard(Some(&globex), "shared-shard-1", "memories-globex");
    let refused = record(shared).await;
    ensure!(matches!(refused, Err(Error::ShardKindDiffers { .. })), "{refused:?}");
    let taken = ground.new_shard(Some(&globex), "dedicated-acme", "memories-globex");
    let refused = record(taken).await;
    ensure!(
        matches!(refused, Err(Error::ShardOfAnotherTenant { .. })),
        "{refused:?}"
    );
    let own = ground.new_shard(Some(&acme), "dedicated-acme", "memories-acme");
    let model = NewShard {
        model: "other-model".to_owned(),
        ..own.clone()
    };
    let refused = record(model).await;
    ensure!(matches!(refused, Err(Error::ShardModelDiffers { .. })), "{refused:?}");
    let endpoint = NewShard {
        endpoint: "http://elsewhere:6334".to_owned(),
        ..own
    };
    let refused = record(endpoint).await;
    ensure!(
        matches!(refused, Err(Error::ShardEndpointDiffers { .. })),
        "{refused:?}"
    );
    let capacity: i32 = sqlx::query_scalar("select capacity from routing.shards where shard_id = 'shared-shard-1'")
        .fetch_one(&ground.root)
        .await?;
    ensure!(capacity == 100, "the shared shard takes {capacity} tenants");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_into_another_tenants_shard_or_another_model_is_refused() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    let away = ground.dedicated(&acme).await?;
    let refused = ground.begin(&globex, &away, jiff::SignedDuration::ZERO).await;
    let refused = refused.expect_err("it is acme's");
    ensure!(
        matches!(refused.downcast_ref(), Some(Error::ShardOfAnotherTenant { .. })),
        "{refused:?}"
    );
    sqlx::query("update routing.shards set model = 'other-model' where shard_id = 'dedicated-acme'")
        .execute(&ground.root)
        .await?;
    let refused = ground.begin(&acme, &away, jiff::SignedDuration::ZERO).await;
    let refused = refused.expect_err("writers embed with another model");
    ensure!(
        matches!(refused.downcast_ref(), Some(Error::ShardModelDiffers { .. })),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_16_an_old_leader_that_wakes_up_can_write_no_intent() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    leader::raise_term(&ground.pool).await?;

    let new = NewMove {
        tenant: tenant.scope.tenant().clone(),
        operation: "old/1".to_owned(),
        target: away.shard_id.clone(),
        retention: jiff::SignedDuration::ZERO,
    };
    let recorded = moves::record(&ground.pool, ground.term, &new).await;
    ensure!(matches!(recorded, Err(Error::TermOver { .. })), "{recorded:?}");
    let cancelled = moves::cancel(&ground.pool, ground.term, id).await;
    ensure!(matches!(cancelled, Err(Error::TermOver { .. })), "{cancelled:?}");
    let retired = shards::retire_if_unused(&ground.pool, ground.term, &away).await;
    ensure!(matches!(retired, Err(Error::TermOver { .. })), "{retired:?}");
    ensure!(
        ground.fetch_move(&tenant, id).await?.progress.step == Step::Copy,
        "the move is untouched"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_one_move_before_its_cutover() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let away = ground.dedicated(&tenant).await?;
    let other = ground.shared("shared-shard-2", "memories-shared-2").await?;
    ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    let second = ground.begin(&tenant, &other, jiff::SignedDuration::ZERO).await;
    let refused = second.expect_err("one at a time");
    ensure!(
        matches!(refused.downcast_ref(), Some(Error::AlreadyMoving { .. })),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_is_recorded_twice_is_one_move() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let away = ground.dedicated(&tenant).await?;
    let new = NewMove {
        tenant: tenant.scope.tenant().clone(),
        operation: "uid/2".to_owned(),
        target: away.shard_id.clone(),
        retention: jiff::SignedDuration::ZERO,
    };
    let first = moves::record(&ground.pool, ground.term, &new).await?;
    let second = moves::record(&ground.pool, ground.term, &new).await?;
    ensure!(first.move_id == second.move_id, "two moves for one intent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_nothing_behind_and_the_tenant_where_it_was() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 30).await?;
    let away = ground.shared("shared-shard-2", "memories-shared-2").await?;
    let id = ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    ground.crash_at(Point::Begin(Step::CatchUp)).await?;
    ensure!(
        moves::cancel(&ground.pool, ground.term, id).await?,
        "it was before its cutover"
    );
    ensure!(
        !moves::cancel(&ground.pool, ground.term, id).await?,
        "a second cancel changes nothing"
    );
    ground.run_cleanups().await?;
    let left = ground
        .qdrant()
        .count(&away.collection, tenant.scope.tenant(), aeterna_tenancy::Generation(0))
        .await?;
    ensure!(left == 0, "{left} points are left in the target");
    ground.assert_exact(&tenant).await?;
    // And the next intent finds the way free.
    ground.relocate(&tenant, &away).await?;
    ground.assert_exact(&tenant).await
}
