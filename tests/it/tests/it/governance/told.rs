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
use uuid::Uuid;

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
    told.retain(|_, names| !names.is_empty());
    let listed: Told = TOLD
        .iter()
        .map(|(action, names)| (*action, names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    ensure!(listed == told, "listed {listed:#?}\ntold {told:#?}");
    Ok(())
}
