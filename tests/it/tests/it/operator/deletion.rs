//! What deleting a TenantShard does.

use aeterna_crds::v1alpha1::{AeternaCluster, TenantShard};
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use super::place::Place;

type Owned = (Option<uuid::Uuid>, i64);

async fn owner(place: &Place) -> Result<Owned> {
    let query =
        "select t.owner_uid, (select count(*) from routing.moves m where m.step <> 'Cancelled') from routing.tenants t";
    Ok(sqlx::query_as(query).fetch_one(&place.root).await?)
}

#[tokio::test]
async fn retain_puts_no_finalizer_on_and_leaves_everything_as_it_is() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let object = place.api::<TenantShard>().get("acme").await?;
    ensure!(object.finalizers().is_empty(), "{:?}", object.finalizers());
    place.delete::<TenantShard>("acme").await?;
    let (owner, _) = owner(&place).await?;
    ensure!(owner.map(|uid| uid.to_string()) == object.uid(), "the row has changed");
    // The same manifest again finds its tenant.
    place.make_tenant("acme", json!({})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await.map(|_| ())
}

#[tokio::test]
async fn release_cancels_what_has_not_switched_and_lets_go_of_the_tenant() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({"deletionPolicy": "Release"})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let object = place.api::<TenantShard>().get("acme").await?;
    ensure!(
        object.finalizers() == ["aeterna.dev/tenant"],
        "{:?}",
        object.finalizers()
    );
    place
        .change::<TenantShard>("acme", json!({"spec": {"placement": {"mode": "Dedicated"}}}))
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "Moving").await?;
    place.delete::<TenantShard>("acme").await?;
    ensure!(owner(&place).await? == (None, 0), "{:?}", owner(&place).await?);
    Ok(())
}

#[tokio::test]
async fn a_policy_that_is_taken_back_takes_its_finalizer_with_it() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({"deletionPolicy": "Release"})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    place
        .change::<TenantShard>("acme", json!({"spec": {"deletionPolicy": "Retain"}}))
        .await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let object = place.api::<TenantShard>().get("acme").await?;
    ensure!(object.finalizers().is_empty(), "{:?}", object.finalizers());
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_goes_takes_its_tenants_with_it() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({"deletionPolicy": "Release"})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await?;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while namespaces.get_opt(&place.namespace).await?.is_some() {
        ensure!(tokio::time::Instant::now() < deadline, "the namespace hangs");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_waits_for_a_cluster_that_is_not_ready() -> Result<()> {
    let place = Place::with_cluster().await?;
    place.make_tenant("acme", json!({"deletionPolicy": "Release"})).await?;
    place.wait::<TenantShard>("acme", "Ready", "AsWanted").await?;
    let at = |url: String| json!({"spec": {"vectorStore": {"external": {"url": url}}}});
    place
        .change::<AeternaCluster>("aeterna", at("http://127.0.0.1:1".to_owned()))
        .await?;
    // Another URL of the same database: all that was known of it is forgotten, as it is by an operator that starts.
    place
        .make_secret(&format!("{}?application_name=another", place.database_url))
        .await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "VectorStoreUrlChanged")
        .await?;
    let mut pokes = 0;
    let not_ready = async || {
        pokes += 1;
        let poke = json!({"metadata": {"annotations": {"tests/poke": pokes.to_string()}}});
        place.change::<TenantShard>("acme", poke).await?;
        let object = place.api::<TenantShard>().get("acme").await?;
        let conditions = object.status.unwrap_or_default().conditions;
        Ok(conditions.iter().any(|condition| condition.reason == "ClusterNotReady"))
    };
    place.wait_until("the cluster is not ready", not_ready).await?;
    let api = place.api::<TenantShard>();
    api.delete("acme", &DeleteParams::default()).await?;
    place.expect_quiet::<TenantShard>("acme").await?;
    ensure!(owner(&place).await?.0.is_some(), "released by nobody");
    place.change::<AeternaCluster>("aeterna", at(place.store.url())).await?;
    let gone = async || Ok(api.get_opt("acme").await?.is_none());
    place.wait_until("the object is gone", gone).await?;
    ensure!(owner(&place).await?.0.is_none(), "it went without letting go");
    Ok(())
}
