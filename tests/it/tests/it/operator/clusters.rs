//! What an AeternaCluster says about its stores, and how it heals.

use std::net::SocketAddr;

use aeterna_crds::v1alpha1::AeternaCluster;
use aeterna_testkit::{Postgres, free_port};
use aeterna_vectorstore::Server;
use anyhow::{Result, ensure};
use qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, HealthCheckReply, HealthCheckRequest, VectorParamsBuilder,
};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::place::Place;

#[tokio::test]
async fn a_missing_secret_and_a_missing_key_are_told_apart_and_heal() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_cluster(json!({})).await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "DatabaseReady", "SecretMissing", true)
        .await?;
    ensure!(
        told.message.contains("aeterna-secrets") && told.message.contains("database-url"),
        "{}",
        told.message
    );
    place.put_secret(&json!({"another": "key"})).await?;
    place
        .wait_fault::<AeternaCluster>("aeterna", "DatabaseReady", "SecretKeyMissing", true)
        .await?;
    place.make_secret("mysql://nowhere").await?;
    place
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "SecretInvalid")
        .await?;
    place.make_secret(&place.database_url).await?;
    place
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> Result<()> {
    let mut server = Postgres::start().await?;
    let place = Place::on(&server).await?;
    place.migrate().await?;
    server.stop()?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place
        .wait_fault::<AeternaCluster>("aeterna", "DatabaseReady", "DatabaseUnreachable", false)
        .await?;
    server.start_again().await?;
    place
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_vector_store_that_is_away_is_waited_for() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let url = json!({"vectorStore": {"external": {"url": format!("http://{address}")}}});
    place.make_cluster(url).await?;
    place
        .wait_fault::<AeternaCluster>("aeterna", "VectorStoreReady", "VectorStoreUnreachable", false)
        .await?;
    let dir = tempfile::tempdir()?;
    let _store = Server::open(dir.path())?.start_at(address).await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

/// A Qdrant that says how old it is, and nothing else.
struct Old;

#[tonic::async_trait]
impl Qdrant for Old {
    async fn health_check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckReply>, Status> {
        Ok(Response::new(HealthCheckReply {
            title: "qdrant".to_owned(),
            version: "1.9.2".to_owned(),
            commit: None,
        }))
    }
}

#[tokio::test]
async fn a_vector_store_that_is_too_old_is_named_and_replaced() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(QdrantServer::new(Old))
            .serve(address),
    );
    let url = format!("http://{address}");
    place
        .make_cluster(json!({"vectorStore": {"external": {"url": url}}}))
        .await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "VectorStoreReady", "VectorStoreTooOld", true)
        .await?;
    ensure!(told.message.contains("1.9"), "{}", told.message);
    let url = json!({"spec": {"vectorStore": {"external": {"url": place.store.url()}}}});
    place.change::<AeternaCluster>("aeterna", url).await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

fn client(place: &Place) -> Result<qdrant_client::Qdrant> {
    Ok(qdrant_client::Qdrant::from_url(&place.store.url())
        .skip_compatibility_check()
        .build()?)
}

#[tokio::test]
async fn a_collection_of_another_dimension_is_left_alone_and_named() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let mut vectors = qdrant_client::qdrant::VectorsConfigBuilder::default();
    vectors.add_named_vector_params("content", VectorParamsBuilder::new(8, Distance::Cosine));
    let qdrant = client(&place)?;
    qdrant
        .create_collection(CreateCollectionBuilder::new("memories-shared").vectors_config(vectors))
        .await?;
    place.make_cluster(json!({})).await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "VectorStoreReady", "VectorStoreDimensionMismatch", true)
        .await?;
    ensure!(told.message.contains("memories-shared"), "{}", told.message);
    ensure!(
        qdrant.collection_exists("memories-shared").await?,
        "somebody else's collection was deleted"
    );
    qdrant.delete_collection("memories-shared").await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_collection_of_another_cluster_is_left_alone_and_named() -> Result<()> {
    let first = Place::with_cluster().await?;
    let second = Place::new().await?;
    second.migrate().await?;
    second.make_secret(&second.database_url).await?;
    second
        .make_cluster(json!({"vectorStore": {"external": {"url": first.store.url()}}}))
        .await?;
    let told = second
        .wait_fault::<AeternaCluster>("aeterna", "VectorStoreReady", "CollectionNotOurs", true)
        .await?;
    ensure!(told.message.contains("memories-shared"), "{}", told.message);
    ensure!(
        client(&first)?.collection_exists("memories-shared").await?,
        "the first cluster's collection was deleted"
    );
    let own = json!({"spec": {"vectorStore": {"external": {"url": second.store.url()}}}});
    second.change::<AeternaCluster>("aeterna", own).await?;
    second
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_vector_store_that_moves_away_from_its_collections_is_told_until_it_is_back() -> Result<()> {
    let place = Place::with_cluster().await?;
    let at = |url: String| json!({"spec": {"vectorStore": {"external": {"url": url}}}});
    let elsewhere = at(format!("http://127.0.0.1:{}", free_port()?));
    place.change::<AeternaCluster>("aeterna", elsewhere).await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "VectorStoreReady", "VectorStoreUrlChanged", true)
        .await?;
    ensure!(told.message.contains(&place.store.url()), "{}", told.message);
    place.change::<AeternaCluster>("aeterna", at(place.store.url())).await?;
    place
        .wait::<AeternaCluster>("aeterna", "VectorStoreReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_shard_out_of_the_list_drains_and_is_ready_again_when_it_is_back() -> Result<()> {
    let place = Place::with_cluster().await?;
    let listed = |names: &[&str]| {
        let shards: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"sharding": {"sharedShards": shards}}})
    };
    let becomes = async |wanted: &str| {
        let query = "select state from routing.shards where shard_id = 'shared-shard-1'";
        let is = async || Ok(sqlx::query_scalar::<_, String>(query).fetch_one(&place.root).await? == wanted);
        place.wait_until(wanted, is).await
    };
    place.change::<AeternaCluster>("aeterna", listed(&["b"])).await?;
    becomes("draining").await?;
    place
        .change::<AeternaCluster>("aeterna", listed(&["b", "shared-shard-1"]))
        .await?;
    becomes("ready").await
}
