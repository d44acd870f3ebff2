//! What policies can ask about a thing is what the services tell of it: the list that warns is held to their permissions.

use std::collections::{BTreeMap, BTreeSet};

use aeterna_kit::auth::{Caller, TenantScope};
use aeterna_kit::ids::TenantId;
use aeterna_policy::guard::route::{About, Asked, Routes};
use aeterna_policy::policy::untold::TOLD;
use aeterna_policy::rbac::action;
use anyhow::{Result, ensure};
use axum::http::{HeaderMap, HeaderValue};
use memory_service::layer::Layer;
use memory_service::memory::Memory;
use serde_json::{Value, json};
use sync_service::connection::Source;
use uuid::Uuid;

use super::bodies::cedar;
use super::service::{Service, of_acme};

type Told = BTreeMap<&'static str, BTreeSet<String>>;

fn add(told: &mut Told, about: &About) {
    let names = about.properties().keys().cloned();
    told.entry(about.action.name).or_default().extend(names);
}

/// What the doors of a service tell of requests that say all that can be said.
fn at_the_doors(routes: Routes, bodies: &[Value]) -> Result<Told> {
    let caller = Caller {
        scope: TenantScope::for_worker(TenantId::parse("acme")?),
        subject: "ann".to_owned(),
        roles: Vec::new(),
        on_behalf_of: None,
    };
    let headers = HeaderMap::from_iter([(
        axum::http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]);
    let params = ["id", "connectionId"].map(|name| (name.to_owned(), Uuid::nil().to_string()));
    let params = [params.to_vec(), vec![("path".to_owned(), "adrs/1.md".to_owned())]].concat();
    let mut told = Told::new();
    for route in routes.guarded {
        for body in bodies {
            let body = body.to_string();
            let asked = Asked {
                caller: &caller,
                headers: &headers,
                params: &params,
                body: body.as_bytes(),
            };
            add(&mut told, &(route.about)(&asked));
        }
    }
    Ok(told)
}

fn memory() -> Memory {
    Memory {
        id: Uuid::nil(),
        tenant_id: "acme".to_owned(),
        content: "text".to_owned(),
        layer: Layer::User,
        identifiers: BTreeMap::from([("userId".to_owned(), "ann".to_owned())]),
        metadata: serde_json::Map::new(),
        tags: vec!["a".to_owned()],
        importance: None,
        version: 1,
        content_hash: String::new(),
        embedding_model: String::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
    }
}

#[test]
fn the_list_of_what_is_told_is_what_the_permissions_of_the_services_tell() -> Result<()> {
    let stored = [json!({"content": "x", "layer": "user", "tags": ["a"]})];
    let mut told = at_the_doors(memory_service::permissions::PERMISSIONS, &stored)?;
    for action in [action::MEMORY_READ, action::MEMORY_SEARCH, action::MEMORY_DELETE] {
        add(&mut told, &memory_service::permissions::about(action, &memory()));
    }
    let written = ["draft", "accepted", "rejected"]
        .map(|status| json!({"path": "adrs/1.md", "content": "x", "kind": "adr", "layer": "team", "status": status}));
    told.extend(at_the_doors(knowledge_service::permissions::PERMISSIONS, &written)?);
    for action in [
        action::KNOWLEDGE_READ,
        action::KNOWLEDGE_SEARCH,
        action::KNOWLEDGE_PROPOSE,
        action::KNOWLEDGE_EDIT,
        action::KNOWLEDGE_ACCEPT,
    ] {
        let kept = knowledge_service::permissions::about(action, "adrs/1.md", ["adr", "team", "draft"]);
        add(&mut told, &kept);
    }
    let started = [json!({"source": {"type": "git"}})];
    told.extend(at_the_doors(sync_service::permissions::PERMISSIONS, &started)?);
    let source: Source = serde_json::from_value(json!({"type": "github", "config": {"repository": "team/docs"}}))?;
    for action in [action::SYNC_START, action::SYNC_CANCEL] {
        let kept = sync_service::permissions::about_stored(action, Uuid::nil(), &source, "ann");
        add(&mut told, &kept);
    }
    told.retain(|_, names| !names.is_empty());
    let listed: Told = TOLD
        .iter()
        .map(|(action, names)| (*action, names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    ensure!(listed == told, "listed {listed:#?}\ntold {told:#?}");
    Ok(())
}

/// A policy that names more of a place never counts there, which whoever makes it is warned of.
#[test]
fn the_knowledge_service_tells_one_id_of_a_place() {
    for path in [
        "orgs/o/1.md",
        "teams/red/1.md",
        "projects/p/1.md",
        "orgs/o/teams/red/1.md",
    ] {
        let about = knowledge_service::permissions::about(action::KNOWLEDGE_READ, path, ["adr", "team", "draft"]);
        let place = about.resource.scope;
        let told = [place.org_id, place.team_id, place.project_id].into_iter().flatten();
        assert_eq!(told.count(), 1, "{path}");
    }
}

#[tokio::test]
async fn who_makes_a_policy_that_never_counts_for_knowledge_is_warned() -> Result<()> {
    let service = Service::start().await?;
    let mut policy = cedar(
        "red reads nothing",
        r#"forbid (principal, action == Action::"knowledge.read", resource);"#,
    );
    policy["layer"] = json!("team");
    for (scope, warnings) in [
        (json!({"teamId": "red"}), 0),
        (json!({"orgId": "o", "teamId": "red"}), 1),
    ] {
        policy["scope"] = scope;
        let made = service
            .post(of_acme("ann", "Architect"), "/api/v1/policies", &policy)
            .await?;
        made.expect(201)?;
        let told = made.body["warnings"].as_array().map_or(0, Vec::len);
        ensure!(told == warnings, "{}", made.text);
    }
    Ok(())
}
