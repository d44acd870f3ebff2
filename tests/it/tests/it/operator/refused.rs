//! What the API server takes and what it refuses, and whether its words say what to do.

use anyhow::{Result, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use super::world;

async fn dry_run(client: &Client, kind: &str, name: &str, spec: Value) -> Result<Result<(), String>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("aeterna.dev", "v1alpha1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "aeterna.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}))?;
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&params, &object).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(Err(status.message)),
        Err(error) => Err(error.into()),
    }
}

fn cluster(path: &str, value: Value) -> Value {
    let mut spec = json!({
        "release": {"version": "1"}, "vectorStore": {"external": {"url": "http://q:6334"}}, "auth": {"disabled": {}}});
    if !path.is_empty() {
        let (parent, field) = path.rsplit_once('/').unwrap_or_default();
        spec.pointer_mut(parent).expect("the parent is there")[field] = value;
    }
    spec
}

/// A service with files of these paths.
fn files<S: AsRef<str>>(paths: &[S]) -> Value {
    let file = |path: &S| json!({"path": path.as_ref(), "secretRef": {"name": "s", "key": "k"}});
    json!({"sync": {"files": paths.iter().map(file).collect::<Vec<_>>()}})
}

#[tokio::test]
async fn an_aeterna_cluster_that_cannot_work_is_refused_with_a_reason() -> Result<()> {
    let client = world::connect().await?;
    let local = json!({"name": "wordllama-256", "local": {}});
    let remote = json!({"name": "r", "openAICompatible": {"endpoint": "http://e", "model": "m", "dimension": 8}});
    let accepted = [
        ("", json!(null)),
        ("/embedding", json!({"default": "r", "models": [local, remote]})),
        ("/auth", json!({"jwt": {"hmacSecretRef": {"name": "s", "key": "k"}}})),
        ("/services", json!({"memory": {"replicas": 3}})),
        ("/services", json!({"memory": {"autoscaling": {"min": 2, "max": 5}}})),
        ("/services", files(&["a/b", "a/c", "ab"])),
        // As many as there may be, as long as they may be: the comparison stays within the API server's budget.
        (
            "/services",
            files(&(0..100).map(|n| format!("{n:0200}")).collect::<Vec<_>>()),
        ),
        (
            "/sharding",
            json!({"sharedShards": [{"name": "a"}, {"name": "b", "capacity": 5}], "onboarding": "Declared"}),
        ),
    ];
    for (path, value) in accepted {
        let answer = dry_run(&client, "AeternaCluster", "aeterna", cluster(path, value.clone())).await?;
        ensure!(answer.is_ok(), "{path} {value}: {answer:?}");
    }
    let both =
        json!({"name": "x", "local": {}, "openAICompatible": {"endpoint": "http://e", "model": "m", "dimension": 8}});
    let refused = [
        ("/auth", json!({}), "exactly one of auth.jwt and auth.disabled"),
        (
            "/auth",
            json!({"disabled": {}, "jwt": {"hmacSecretRef": {"name": "s", "key": "k"}}}),
            "exactly one of auth.jwt and auth.disabled",
        ),
        (
            "/auth",
            json!({"jwt": {}}),
            "exactly one of publicKeySecretRef and hmacSecretRef",
        ),
        (
            "/embedding",
            json!({"default": "other", "models": [local]}),
            "must be the name of one of",
        ),
        (
            "/embedding",
            json!({"default": "x", "models": [both]}),
            "exactly one of local and openAICompatible",
        ),
        (
            "/embedding",
            json!({"default": "r", "models": [remote, remote]}),
            "Duplicate value",
        ),
        (
            "/vectorStore/external/url",
            json!("q:6334"),
            "spec.vectorStore.external.url",
        ),
        ("/release/version", json!(""), "spec.release.version"),
        (
            "/services",
            json!({"memory": {"replicas": 3, "autoscaling": {"min": 2, "max": 5}}}),
            "write replicas or autoscaling, not both",
        ),
        (
            "/services",
            json!({"memory": {"autoscaling": {"min": 5, "max": 2}}}),
            "must not be below autoscaling.min",
        ),
        ("/services", files(&["a/b", "a"]), "must not lie below another's"),
        ("/services", files(&["a/b/c", "b", "a"]), "must not lie below another's"),
        ("/services", files(&["../a"]), "files[0].path"),
        ("/sharding", json!({"sharedShards": []}), "sharedShards"),
        (
            "/sharding",
            json!({"sharedShards": [{"name": "UPPER"}]}),
            "sharedShards[0].name",
        ),
        ("/sharding", json!({"retentionSeconds": -1}), "retentionSeconds"),
    ];
    for (path, value, words) in refused {
        let answer = dry_run(&client, "AeternaCluster", "aeterna", cluster(path, value.clone())).await?;
        ensure!(
            answer.as_ref().is_err_and(|message| message.contains(words)),
            "{path} {value}: {answer:?}"
        );
    }
    let other = dry_run(&client, "AeternaCluster", "production", cluster("", json!(null))).await?;
    ensure!(other.is_err_and(|message| message.contains("metadata.name must be 'aeterna'")));
    Ok(())
}

#[tokio::test]
async fn keys_and_files_of_a_cluster_are_whole_and_stay_in_their_directory() -> Result<()> {
    let client = world::connect().await?;
    let file = |path: &str| json!({"path": path, "secretRef": {"name": "s", "key": "k"}});
    let (private, public) = (json!({"name": "s", "key": "k"}), json!({"name": "s", "key": "p"}));
    let accepted = [
        (
            "/services",
            json!({"sync": {"files": [file("secrets/acme/git-token")]}}),
        ),
        (
            "/governance",
            json!({"signingKeySecretRef": private, "publicKeySecretRef": public}),
        ),
    ];
    for (path, value) in accepted {
        let answer = dry_run(&client, "AeternaCluster", "aeterna", cluster(path, value.clone())).await?;
        ensure!(answer.is_ok(), "{path} {value}: {answer:?}");
    }
    let refused = [
        (
            "/services",
            json!({"sync": {"files": [file("../../etc/passwd")]}}),
            "spec.services.sync.files[0].path",
        ),
        (
            "/services",
            json!({"sync": {"files": [file("a"), file("a")]}}),
            "Duplicate value",
        ),
        (
            "/governance",
            json!({"signingKeySecretRef": private}),
            "spec.governance.publicKeySecretRef",
        ),
    ];
    for (path, value, words) in refused {
        let answer = dry_run(&client, "AeternaCluster", "aeterna", cluster(path, value.clone())).await?;
        let message = answer.err().unwrap_or_default();
        ensure!(
            message.contains(words),
            "{path} {value}: {message:?} does not say {words:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_shard_that_contradicts_itself_is_refused_with_a_reason() -> Result<()> {
    let client = world::connect().await?;
    let accepted = [
        json!({"tenantId": "acme"}),
        json!({"tenantId": "Ünusual / Name", "placement": {"mode": "Dedicated"}}),
        json!({"tenantId": "acme", "placement": {"mode": "Dedicated", "dedicated": {"name": "dedicated-1"}}}),
        json!({"tenantId": "acme", "placement": {"shared": {"shard": "s"}}, "move": {"retentionSeconds": 0}, "deletionPolicy": "Release"}),
    ];
    for spec in accepted {
        let answer = dry_run(&client, "TenantShard", "acme", spec.clone()).await?;
        ensure!(answer.is_ok(), "{spec}: {answer:?}");
    }
    let refused = [
        (json!({}), "tenantId"),
        (json!({"tenantId": ""}), "tenantId"),
        (json!({"tenantId": "x".repeat(129)}), "tenantId"),
        (json!({"tenantId": "ü".repeat(65)}), "more than 128 bytes"),
        (json!({"tenantId": "a\nb"}), "tenantId"),
        (
            json!({"tenantId": "a", "placement": {"mode": "Dedicated", "shared": {"shard": "s"}}}),
            "belongs to mode Shared; remove it",
        ),
        (
            json!({"tenantId": "a", "placement": {"mode": "Shared", "dedicated": {}}}),
            "belongs to mode Dedicated; remove it",
        ),
        (
            json!({"tenantId": "a", "placement": {"mode": "Dedicated", "dedicated": {"name": "shared-x"}}}),
            "must not begin with 'shared'",
        ),
        (
            json!({"tenantId": "a", "placement": {"mode": "Dedicated", "dedicated": {"name": "-x"}}}),
            "dedicated.name",
        ),
        (
            json!({"tenantId": "a", "placement": {"mode": "Nowhere"}}),
            "Unsupported value",
        ),
        (json!({"tenantId": "a", "deletionPolicy": "Burn"}), "Unsupported value"),
        (
            json!({"tenantId": "a", "move": {"retentionSeconds": -1}}),
            "retentionSeconds",
        ),
    ];
    for (spec, words) in refused {
        let answer = dry_run(&client, "TenantShard", "acme", spec.clone()).await?;
        ensure!(
            answer.as_ref().is_err_and(|message| message.contains(words)),
            "{spec}: {answer:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_id_cannot_be_changed() -> Result<()> {
    let place = super::place::Place::new().await?;
    place.make_tenant("acme", json!({})).await?;
    let changed = place
        .change::<aeterna_crds::v1alpha1::TenantShard>("acme", json!({"spec": {"tenantId": "other"}}))
        .await;
    let refused = changed.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(
        refused.contains("tenantId cannot be changed; make another TenantShard"),
        "{refused}"
    );
    Ok(())
}

/// `make gen` writes them anew.
#[test]
fn the_definitions_in_the_repository_are_those_of_the_types() -> Result<()> {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/yaml"));
    for (file, definition) in aeterna_crds::definitions() {
        let kept = std::fs::read_to_string(folder.join(file))?;
        let made = aeterna_crds::render(&definition).map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(kept == made, "crds/yaml/{file} is out of date: make gen");
    }
    Ok(())
}

#[tokio::test]
async fn explain_reads_well_for_every_field() -> Result<()> {
    for kind in ["aeternacluster", "tenantshard"] {
        let explain = ["explain", kind, "--recursive=false"];
        let text = world::server().await?.kubectl(&explain)?;
        ensure!(
            text.contains("DESCRIPTION") && !text.contains("Auto-generated"),
            "{text}"
        );
    }
    for (file, definition) in aeterna_crds::definitions() {
        let value = serde_json::to_value(definition)?;
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut silent = Vec::new();
        find_silent(&schema["properties"]["spec"], "spec", &mut silent);
        ensure!(silent.is_empty(), "{file}: no description for {silent:?}");
    }
    Ok(())
}

/// Fields of our own without a description; those of Kubernetes' types below them have theirs.
fn find_silent(schema: &Value, path: &str, silent: &mut Vec<String>) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        silent.push(path.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        find_silent(property, &format!("{path}.{name}"), silent);
    }
}
