//! What an AeternaCluster consists of: the migration Job, Deployments, autoscalers; and what keeps them from working.

use aeterna_crds::v1alpha1::AeternaCluster;
use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::migrate::record_release;
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::place::{Place, RELEASE, services};

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
async fn a_release_waits_for_the_schemas_of_each_of_its_services() -> Result<()> {
    let place = Place::with_cluster().await?;
    let next = json!({"spec": {"release": {"version": "0.2.0"}}});
    place.change::<AeternaCluster>("aeterna", next).await?;
    let told = place.wait::<AeternaCluster>("aeterna", "Migrated", "Migrating").await?;
    for service in services() {
        ensure!(told.message.contains(service.name), "{}", told.message);
    }
    let pool = connect_lazy(&place.database_url, "tests", Limits::default())?;
    for service in services() {
        record_release(&pool, service.name, "0.2.0").await?;
    }
    place.wait::<AeternaCluster>("aeterna", "Migrated", "AsWanted").await?;
    // Migrations only add: what was built once for a release is still there.
    let back = json!({"spec": {"release": {"version": RELEASE}}});
    place.change::<AeternaCluster>("aeterna", back).await?;
    place
        .wait::<AeternaCluster>("aeterna", "Migrated", "AsWanted")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_migration_whose_image_cannot_be_pulled_says_so() -> Result<()> {
    let place = Place::new().await?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place.wait::<AeternaCluster>("aeterna", "Migrated", "Migrating").await?;
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    let of_job = ListParams::default().labels("app=aeterna-migrate");
    let there = async || Ok(!pods.list(&of_job).await?.items.is_empty());
    place.wait_until("the Job has a pod", there).await?;
    let pod = pods.list(&of_job).await?.items.pop().context("no pod")?.name_any();
    // What a kubelet writes.
    let status = json!({"status": {"initContainerStatuses": [{"name": "sync-service", "image": "nowhere/sync-service:0",
        "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
    pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    let told = place
        .wait::<AeternaCluster>("aeterna", "Migrated", "ImagePullFailed")
        .await?;
    ensure!(told.message.contains("nowhere/sync-service:0"), "{}", told.message);
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_tell_its_schemas_starts_no_migration() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    let rename = async |from: &str, to: &str| {
        let statement = format!("alter table routing._sqlx_migrations rename column {from} to {to}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&place.root).await
    };
    rename("success", "away").await?;
    place.make_secret(&place.database_url).await?;
    place.make_cluster(json!({})).await?;
    place
        .wait_fault::<AeternaCluster>("aeterna", "Migrated", "DatabaseUnreachable", false)
        .await?;
    let jobs: Api<Job> = Api::namespaced(place.client.clone(), &place.namespace);
    ensure!(
        jobs.list(&ListParams::default()).await?.items.is_empty(),
        "a Job was started"
    );
    rename("away", "success").await?;
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

fn memory(spec: &Value) -> Value {
    json!({"spec": {"services": {"memory": spec}}})
}

#[tokio::test]
async fn replicas_stay_when_an_autoscaler_takes_over() -> Result<()> {
    let place = Place::with_cluster().await?;
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(place.client.clone(), &place.namespace);
    let replicas = async || {
        let found = deployments.get_opt("memory-service").await?;
        anyhow::Ok(found.and_then(|found| found.spec?.replicas))
    };
    for wanted in [4, 6] {
        place
            .change::<AeternaCluster>("aeterna", memory(&json!({"autoscaling": null, "replicas": wanted})))
            .await?;
        let there = async || Ok(replicas().await? == Some(wanted));
        place.wait_until("the replicas of the spec", there).await?;
        let gone = async || Ok(autoscalers.get_opt("memory-service-hpa").await?.is_none());
        place.wait_until("the autoscaler is gone", gone).await?;
        let scaled = json!({"replicas": null, "autoscaling": {"min": 2, "max": 9}});
        place.change::<AeternaCluster>("aeterna", memory(&scaled)).await?;
        // Autoscalers are applied after the Deployments.
        let there = async || Ok(autoscalers.get_opt("memory-service-hpa").await?.is_some());
        place.wait_until("the autoscaler", there).await?;
        let now = replicas().await?;
        ensure!(now == Some(wanted), "{wanted} pods became {now:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_child_that_is_refused_is_told_and_holds_no_other_up() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let resources = json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}});
    place.make_cluster(json!({"services": {"memory": resources}})).await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "ServicesAvailable", "ChildRefused", true)
        .await?;
    ensure!(told.message.contains("Deployment memory-service"), "{}", told.message);
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    ensure!(deployments.get_opt("sync-service").await?.is_some(), "the others wait");
    place
        .change::<AeternaCluster>("aeterna", memory(&json!({"resources": null})))
        .await?;
    place
        .wait::<AeternaCluster>("aeterna", "ServicesAvailable", "RollingOut")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_secret_that_only_the_services_need_is_missed_by_name() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    place.make_secret(&place.database_url).await?;
    let cache = json!({"cache": {"urlSecretRef": {"name": "aeterna-secrets", "key": "redis-url"}}});
    place.make_cluster(cache).await?;
    let told = place
        .wait_fault::<AeternaCluster>("aeterna", "ServicesAvailable", "SecretKeyMissing", true)
        .await?;
    ensure!(told.message.contains("redis-url"), "{}", told.message);
    let both = json!({"database-url": place.database_url, "redis-url": "redis://localhost"});
    place.put_secret(&both).await?;
    place
        .wait::<AeternaCluster>("aeterna", "ServicesAvailable", "RollingOut")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_secret_that_changes_replaces_the_pods_that_read_it_and_no_others() -> Result<()> {
    let place = Place::new().await?;
    place.migrate().await?;
    let keys = |private: &str, token: &str| json!({"database-url": place.database_url, "private": private, "public": "public", "token": token});
    place.put_secret(&keys("one", "one")).await?;
    let named = |key: &str| json!({"name": "aeterna-secrets", "key": key});
    place
        .make_cluster(json!({
            "governance": {"signingKeySecretRef": named("private"), "publicKeySecretRef": named("public")},
            "services": {"sync": {"files": [{"path": "secrets/acme/git", "secretRef": named("token")}]}},
        }))
        .await?;
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let mark = async |name: &str| {
        let template = deployments
            .get_opt(name)
            .await?
            .and_then(|live| live.spec)
            .map(|spec| spec.template);
        let annotations = template.and_then(|template| template.metadata?.annotations);
        anyhow::Ok(annotations.and_then(|mut all| all.remove("aeterna.dev/secrets-digest")))
    };
    let marks = async || {
        anyhow::Ok([
            mark("memory-service").await?,
            mark("governance-service").await?,
            mark("sync-service").await?,
        ])
    };
    let marked = async || Ok(marks().await?.iter().all(Option::is_some));
    place.wait_until("the pods are marked", marked).await?;
    let [memory, governance, sync] = marks().await?;
    place.put_secret(&keys("two", "one")).await?;
    let signs = async || Ok(mark("governance-service").await? != governance);
    place.wait_until("the signer is replaced", signs).await?;
    place.put_secret(&keys("two", "two")).await?;
    let reads = async || Ok(mark("sync-service").await? != sync);
    place.wait_until("the reader of the file is replaced", reads).await?;
    ensure!(mark("memory-service").await? == memory, "memory reads neither");
    // A Secret that is away is told, and the pods that have it stay.
    let before = marks().await?;
    let secrets: Api<Secret> = Api::namespaced(place.client.clone(), &place.namespace);
    let without = json!({"data": {"token": null}});
    secrets
        .patch("aeterna-secrets", &PatchParams::default(), &Patch::Merge(&without))
        .await?;
    place
        .wait::<AeternaCluster>("aeterna", "ServicesAvailable", "SecretKeyMissing")
        .await?;
    ensure!(marks().await? == before, "a missing key replaces pods");
    Ok(())
}
