//! Whose a database is, and who inherits it.

use aeterna_crds::v1alpha1::AeternaCluster;
use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use serde_json::json;

use super::place::Place;

#[tokio::test]
async fn a_second_cluster_on_the_same_database_is_refused_until_the_first_is_gone() -> Result<()> {
    let first = Place::with_cluster().await?;
    let second = Place::new().await?;
    second.migrate().await?;
    second.make_secret(&first.database_url).await?;
    second
        .make_cluster(json!({"vectorStore": {"external": {"url": first.store.url()}}}))
        .await?;
    let told = second
        .wait_fault::<AeternaCluster>("aeterna", "DatabaseReady", "DatabaseOwnedByAnother", true)
        .await?;
    ensure!(told.message.contains(&first.namespace), "{}", told.message);
    first.delete::<AeternaCluster>("aeterna").await?;
    second
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_cluster_that_is_made_anew_inherits_its_database() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.delete::<AeternaCluster>("aeterna").await?;
    place.make_cluster(json!({})).await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_database_of_another_kubernetes_is_inherited_when_somebody_says_so() -> Result<()> {
    let place = Place::with_cluster().await?;
    let old = place
        .api::<AeternaCluster>()
        .get("aeterna")
        .await?
        .uid()
        .context("a uid")?;
    place.delete::<AeternaCluster>("aeterna").await?;
    sqlx::query("update routing.cluster set kubernetes = gen_random_uuid()")
        .execute(&place.root)
        .await?;
    place.make_cluster(json!({})).await?;
    let told = place
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "DatabaseOwnedByAnother")
        .await?;
    ensure!(
        told.message.contains(&old) && told.message.contains("aeterna.dev/heir-of"),
        "{}",
        told.message
    );
    let stranger = json!({"metadata": {"annotations": {"aeterna.dev/heir-of": uuid::Uuid::new_v4()}}});
    place.change::<AeternaCluster>("aeterna", stranger).await?;
    place.expect_quiet::<AeternaCluster>("aeterna").await?;
    place
        .change::<AeternaCluster>(
            "aeterna",
            json!({"metadata": {"annotations": {"aeterna.dev/heir-of": old}}}),
        )
        .await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}
