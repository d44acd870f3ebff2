//! What a TenantShard says about its place, and how it heals.

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use serde_json::json;

use super::place::Place;

#[tokio::test]
async fn a_tenant_without_a_cluster_waits_for_one() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_tenant("acme", json!({})).await?;
    place
        .wait_fault::<TenantShard>("acme", "Ready", "ClusterNotReady", false)
        .await?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    // Without its cluster nothing is known of it any more.
    place.delete::<AeternaCluster>("aeterna").await?;
    place
        .change::<TenantShard>("acme", json!({"spec": {"placement": {"mode": "Dedicated"}}}))
        .await?;
    place
        .wait::<TenantShard>("acme", "Ready", "ClusterNotReady")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn the_first_of_two_with_the_same_tenant_keeps_it_until_it_goes() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    place.make_tenant("twin", json!({"tenantId": "acme"})).await?;
    let told = place
        .wait_fault::<TenantShard>("twin", "Ready", "TenantIdConflict", true)
        .await?;
    ensure!(
        told.message.contains("/acme"),
        "the message does not name the first: {}",
        told.message
    );
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    // Retain lets go of nothing by itself; that the object is gone is enough.
    place.delete::<TenantShard>("acme").await?;
    place.wait::<TenantShard>("twin", "Ready", "AsWanted").await.map(|_| ())
}

#[tokio::test]
async fn a_shard_that_nobody_knows_is_named_until_it_is_there() -> Result<()> {
    let place = Place::with_cluster().await?;
    place
        .make_tenant(
            "acme",
            json!({"placement": {"mode": "Shared", "shared": {"shard": "shared-shard-2"}}}),
        )
        .await?;
    let told = place
        .wait_fault::<TenantShard>("acme", "Ready", "ShardUnknown", true)
        .await?;
    ensure!(told.message.contains("shared-shard-2"), "{}", told.message);
    let both =
        json!({"spec": {"sharding": {"sharedShards": [{"name": "shared-shard-1"}, {"name": "shared-shard-2"}]}}});
    place.change::<AeternaCluster>("aeterna", both).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let object = place.api::<TenantShard>().get("acme").await?;
    let placement = object.status.and_then(|status| status.placement).unwrap_or_default();
    ensure!(
        placement.shard == "shared-shard-2" && placement.collection == "memories-shared-shard-2",
        "{placement:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_full_shard_takes_nobody_until_it_has_room() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let small =
        |capacity: i32| json!({"sharding": {"sharedShards": [{"name": "shared-shard-1", "capacity": capacity}]}});
    place.make_cluster(small(1)).await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    place.make_tenant("globex", json!({})).await?;
    place
        .wait_fault::<TenantShard>("globex", "Ready", "ShardFull", true)
        .await?;
    place
        .make_tenant(
            "initech",
            json!({"placement": {"mode": "Shared", "shared": {"shard": "shared-shard-1"}}}),
        )
        .await?;
    place.wait::<TenantShard>("initech", "Ready", "ShardFull").await?;
    place
        .change::<AeternaCluster>("aeterna", json!({"spec": small(3)}))
        .await?;
    place.wait::<TenantShard>("globex", "Ready", "AsWanted").await?;
    place
        .wait::<TenantShard>("initech", "Ready", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_tenant_that_is_new_goes_to_its_dedicated_shard_at_once() -> Result<()> {
    let place = Place::with_cluster().await?;
    place
        .make_tenant("acme", json!({"placement": {"mode": "Dedicated"}}))
        .await?;
    place
        .make_tenant(
            "odd",
            json!({"tenantId": "Ünusual / Name", "placement": {"mode": "Dedicated"}}),
        )
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    place.wait::<TenantShard>("odd", "Ready", "AsWanted").await?;
    let of = async |name: &str| {
        let object = place.api::<TenantShard>().get(name).await?;
        anyhow::Ok(object.status.and_then(|status| status.placement).unwrap_or_default())
    };
    let acme = of("acme").await?;
    ensure!(
        acme.shard == "dedicated-acme" && acme.collection == "memories-acme",
        "{acme:?}"
    );
    let odd = of("odd").await?;
    ensure!(
        odd.shard.starts_with("dedicated-") && odd.shard.len() <= 50 && odd.shard.is_ascii(),
        "{odd:?}"
    );
    let moves: i64 = sqlx::query_scalar("select count(*) from routing.moves")
        .fetch_one(&place.root)
        .await?;
    ensure!(moves == 0, "{moves} moves were made of nothing");
    place.expect_quiet::<TenantShard>("acme").await
}

#[tokio::test]
async fn a_changed_placement_is_one_intent_and_a_change_of_mind_cancels_it() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    // Nobody moves tenants here: the intent stays as it is.
    place
        .change::<TenantShard>("acme", json!({"spec": {"placement": {"mode": "Dedicated"}}}))
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "Moving").await?;
    place.expect_quiet::<TenantShard>("acme").await?;
    let count = async || -> Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from routing.moves")
            .fetch_one(&place.root)
            .await?)
    };
    ensure!(count().await? == 1, "one change, {} moves", count().await?);
    place
        .change::<TenantShard>("acme", json!({"spec": {"placement": {"mode": "Shared"}}}))
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let object = place.api::<TenantShard>().get("acme").await?;
    let status = object.status.unwrap_or_default();
    ensure!(
        status.moving.is_none() && status.last_moves[0].result == "Cancelled",
        "{status:#?}"
    );
    ensure!(count().await? == 1, "{} moves", count().await?);
    Ok(())
}

#[tokio::test]
async fn a_database_that_goes_away_is_told_by_its_tenants_and_so_is_its_return() -> Result<()> {
    let mut server = Postgres::start().await?;
    let place = Place::on(&server).await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    server.stop()?;
    place
        .wait::<TenantShard>("acme", "Ready", "DatabaseUnreachable")
        .await?;
    let serving = place
        .wait::<TenantShard>("acme", "Serving", "DatabaseUnreachable")
        .await?;
    ensure!(serving.status == "False", "{serving:?}");
    place.expect_quiet::<TenantShard>("acme").await?;
    server.start_again().await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    place
        .wait::<TenantShard>("acme", "Serving", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_tenant_keeps_its_model_on_its_way_to_a_shard_of_its_own() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let cluster = place.api::<AeternaCluster>().get("aeterna").await?;
    let old = &cluster.spec.embedding;
    let mut models = serde_json::to_value(&old.models)?;
    let mut another = models[0].clone();
    another["name"] = json!("another");
    models.as_array_mut().expect("a list").push(another);
    let new = json!({"spec": {"embedding": {"default": "another", "models": models}}});
    place.change::<AeternaCluster>("aeterna", new).await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await?;
    place
        .change::<TenantShard>("acme", json!({"spec": {"placement": {"mode": "Dedicated"}}}))
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "Moving").await?;
    let models: Vec<String> = sqlx::query_scalar("select model from routing.shards where state = 'ready'")
        .fetch_all(&place.root)
        .await?;
    ensure!(models == [old.default.clone(), old.default.clone()], "{models:?}");
    Ok(())
}
