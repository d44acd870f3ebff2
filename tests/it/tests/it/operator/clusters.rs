//! What an AeternaCluster says about its stores, and how it heals.

use std::net::SocketAddr;

use aeterna_crds::v1alpha1::AeternaCluster;
use aeterna_testkit::{Postgres, free_port};
use aeterna_vectorstore::Server;
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
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
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "SecretKeyMissing")
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
async fn a_second_cluster_on_the_same_database_is_refused_until_it_has_its_own() -> Result<()> {
    let first = Place::with_cluster().await?;
    let second = Place::new().await?;
    second.migrate().await?;
    second.make_secret(&first.database_url).await?;
    second.make_cluster(json!({})).await?;
    let told = second
        .wait_fault::<AeternaCluster>("aeterna", "DatabaseReady", "DatabaseOwnedByAnother", true)
        .await?;
    ensure!(told.message.contains(&first.namespace), "{}", told.message);
    second.make_secret(&second.database_url).await?;
    second
        .wait::<AeternaCluster>("aeterna", "DatabaseReady", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_cluster_that_is_made_anew_inherits_its_database_when_somebody_says_so() -> Result<()> {
    let place = Place::with_cluster().await?;
    let old = place
        .api::<AeternaCluster>()
        .get("aeterna")
        .await?
        .uid()
        .context("a uid")?;
    place.delete::<AeternaCluster>("aeterna").await?;
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
async fn schemas_are_built_by_a_job_and_its_failure_is_told() -> Result<()> {
    let place = Place::new().await?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place.wait::<AeternaCluster>("aeterna", "Migrated", "Migrating").await?;
    let jobs: Api<Job> = Api::namespaced(place.client.clone(), &place.namespace);
    let job = jobs.list(&ListParams::default()).await?.items.pop().context("no Job")?;
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    ensure!(
        deployments.list(&ListParams::default()).await?.items.is_empty(),
        "services before their schemas"
    );
    // There is no node on which the Job could fail by itself: this is what its controller writes when it gives up.
    let name = job.name_any();
    let started = async || {
        anyhow::Ok(
            jobs.get(&name)
                .await?
                .status
                .is_some_and(|status| status.start_time.is_some()),
        )
    };
    place.wait_until("the Job's controller has seen it", started).await?;
    let now = aeterna_kit::clock::now();
    let verdict = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit", "lastTransitionTime": now, "lastProbeTime": now})
    };
    let status = json!({"status": {"active": 0, "ready": 0, "failed": 4,
        "conditions": [verdict("FailureTarget"), verdict("Failed")]}});
    jobs.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    let told = place
        .wait::<AeternaCluster>("aeterna", "Migrated", "MigrationFailed")
        .await?;
    ensure!(told.message.contains(&name), "{}", told.message);
    place.migrate().await?;
    place
        .wait::<AeternaCluster>("aeterna", "Migrated", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_cluster_has_the_children_that_the_seed_names_and_no_others() -> Result<()> {
    let place = Place::with_cluster().await?;
    place
        .wait::<AeternaCluster>("aeterna", "ServicesAvailable", "RollingOut")
        .await?;
    let names = |items: Vec<String>| {
        let mut names = items;
        names.sort();
        names.join(" ")
    };
    macro_rules! listed {
        ($kind:ty) => {{
            let api: Api<$kind> = Api::namespaced(place.client.clone(), &place.namespace);
            names(
                api.list(&ListParams::default())
                    .await?
                    .iter()
                    .map(|item| item.name_any())
                    .collect(),
            )
        }};
    }
    let services = "governance-service knowledge-service memory-service sync-service";
    ensure!(listed!(Service) == services, "{}", listed!(Service));
    ensure!(
        listed!(Deployment) == format!("aeterna-relocator {services}"),
        "{}",
        listed!(Deployment)
    );
    let autoscalers = "knowledge-service-hpa memory-service-hpa";
    ensure!(
        listed!(HorizontalPodAutoscaler) == autoscalers,
        "{}",
        listed!(HorizontalPodAutoscaler)
    );
    ensure!(
        listed!(PodDisruptionBudget).contains("memory-service"),
        "{}",
        listed!(PodDisruptionBudget)
    );
    // Fixed replicas take the autoscaler away.
    place
        .change::<AeternaCluster>("aeterna", json!({"spec": {"services": {"knowledge": {"replicas": 1}}}}))
        .await?;
    place
        .wait::<AeternaCluster>("aeterna", "ServicesAvailable", "RollingOut")
        .await?;
    ensure!(
        !listed!(HorizontalPodAutoscaler).contains("knowledge"),
        "{}",
        listed!(HorizontalPodAutoscaler)
    );
    place.expect_quiet::<AeternaCluster>("aeterna").await
}
