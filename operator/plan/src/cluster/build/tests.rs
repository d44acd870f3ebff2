use aeterna_crds::v1alpha1::AeternaCluster;
use serde_json::{Value, json};

use super::*;

fn cluster(spec: &Value) -> AeternaCluster {
    let base = json!({
        "apiVersion": "aeterna.dev/v1alpha1",
        "kind": "AeternaCluster",
        "metadata": {"name": "aeterna", "namespace": "team-a", "uid": "6b1e"},
        "spec": {
            "release": {"version": "1.2.3"},
            "vectorStore": {"external": {"url": "http://qdrant:6334"}},
            "auth": {"disabled": {"defaultTenant": "default"}},
        }
    });
    let mut object = base;
    if let (Some(target), Some(more)) = (
        object.pointer_mut("/spec").and_then(Value::as_object_mut),
        spec.as_object(),
    ) {
        target.extend(more.clone());
    }
    serde_json::from_value(object).expect("a valid cluster")
}

#[test]
fn the_children_of_a_cluster_that_says_nothing_are_the_seeds() {
    let children = build_children(&cluster(&json!({})));
    insta::assert_yaml_snapshot!("memory_deployment", children.deployments.first());
    insta::assert_yaml_snapshot!("memory_service", children.services.first());
    insta::assert_yaml_snapshot!("memory_autoscaler", children.autoscalers.first());
    insta::assert_yaml_snapshot!("memory_budget", children.budgets.first());
    insta::assert_yaml_snapshot!("relocator", children.deployments.last());
    insta::assert_yaml_snapshot!("migration", build_migration(&cluster(&json!({}))));
}

#[test]
fn where_an_autoscaler_rules_nobody_else_sets_replicas() {
    let spec = json!({"services": {
        "memory": {"autoscaling": {"min": 2, "max": 4}}, "knowledge": {"replicas": 1}}});
    let children = build_children(&cluster(&spec));
    let replicas = |name: &str| {
        let found = children
            .deployments
            .iter()
            .find(|child| child.metadata.name.as_deref() == Some(name));
        found
            .and_then(|child| child.spec.as_ref())
            .expect("it is there")
            .replicas
    };
    assert_eq!(replicas("memory-service"), None);
    assert_eq!(replicas("knowledge-service"), Some(1));
    assert_eq!(children.autoscalers.len(), 1);
}

#[test]
fn no_secret_stands_in_a_pods_environment() {
    let spec = json!({
        "cache": {"urlSecretRef": {"name": "r", "key": "url"}},
        "vectorStore": {"external": {"url": "http://q", "apiKeySecretRef": {"name": "q", "key": "k"}}},
        "auth": {"jwt": {"hmacSecretRef": {"name": "j", "key": "k"}, "issuer": "i"}},
        "embedding": {"default": "m", "models": [{"name": "m", "openAICompatible": {
            "endpoint": "https://e/v1", "model": "x", "dimension": 8, "apiKeySecretRef": {"name": "e", "key": "k"}}}]},
    });
    let children = build_children(&cluster(&spec));
    insta::assert_yaml_snapshot!("memory_deployment_with_secrets", children.deployments.first());
}

#[test]
fn the_cache_is_given_to_those_who_use_it() {
    let children = build_children(&cluster(
        &json!({"cache": {"urlSecretRef": {"name": "r", "key": "redis-url"}}}),
    ));
    for (deployment, kind) in children.deployments.iter().zip(KINDS) {
        let is_given = secrets_of(deployment).iter().any(|secret| secret.key == "redis-url");
        let uses = matches!(kind, ServiceKind::Memory | ServiceKind::Knowledge);
        assert_eq!(is_given, uses, "{}", kind.name());
    }
}

#[test]
fn the_key_that_signs_policies_is_the_governance_services_alone() {
    let spec = json!({
        "governance": {
            "signingKeySecretRef": {"name": "signing", "key": "private"},
            "publicKeySecretRef": {"name": "signing", "key": "public"},
            "checkpointClaim": "checkpoints",
        },
        "services": {"sync": {
            "env": {"SYNC_SECRETS_DIRECTORY": "/etc/aeterna/files/secrets"},
            "files": [{"path": "secrets/acme/git", "secretRef": {"name": "git", "key": "token"}}],
        }},
    });
    let cluster = cluster(&spec);
    let children = build_children(&cluster);
    for (deployment, kind) in children.deployments.iter().zip(KINDS) {
        let text = serde_json::to_string(deployment).expect("JSON");
        assert_eq!(
            text.contains("private"),
            kind == ServiceKind::Governance,
            "{}",
            kind.name()
        );
    }
    for (name, at) in [
        ("governance_deployment_that_signs", 2),
        ("sync_deployment_with_files", 3),
    ] {
        insta::assert_yaml_snapshot!(name, children.deployments.get(at));
    }
    let named: Vec<&str> = named_secrets(&cluster.spec)
        .iter()
        .map(|secret| secret.key.as_str())
        .collect();
    assert_eq!(named, ["private", "public", "token"]);
    let read = |at: usize| {
        let secrets = children.deployments.get(at).map(secrets_of).unwrap_or_default();
        secrets.into_iter().map(|secret| secret.key).collect::<Vec<String>>()
    };
    assert_eq!(read(0), ["database-url", "public"]);
    assert_eq!(read(2), ["database-url", "private"]);
    assert_eq!(read(3), ["database-url", "public", "token"]);
}

#[test]
fn a_migration_that_runs_something_else_is_another_job() {
    let name = |release: Value| {
        build_migration(&cluster(&json!({"release": release})))
            .metadata
            .name
            .expect("named")
    };
    let first = name(json!({"version": "1"}));
    assert_eq!(first, name(json!({"version": "1"})));
    assert_ne!(first, name(json!({"version": "2"})));
    // A Job's template cannot be changed: to patch it is refused.
    assert_ne!(first, name(json!({"version": "1", "pullSecrets": ["registry"]})));
    assert_ne!(first, name(json!({"version": "1", "pullPolicy": "Always"})));
}
