//! What deleting a TenantShard does.

use aeterna_crds::v1alpha1::TenantShard;
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
