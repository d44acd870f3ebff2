//! Which permission each route asks for, where the service decides by policies.
//!
//! Of a memory that is stored the policies are told its layer, owner, labels and place; of one that is named by its id, the
//! id alone. What only the row knows is asked about by the handler. A test holds the list to the OpenAPI document.

use std::collections::BTreeMap;

use aeterna_policy::engine::Scope;
use aeterna_policy::guard::route::{About, Access, Asked, Body, Route, Routes};
use aeterna_policy::rbac::{Action, action};
use serde::Deserialize;

use crate::memory::Memory;

/// The routes.
pub const PERMISSIONS: Routes = Routes {
    guarded: &[
        Route {
            method: "POST",
            path: "/api/v1/memories",
            access: Access::Write,
            body: Body::Read,
            about: creation,
        },
        Route {
            method: "GET",
            path: "/api/v1/memories/{id}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::MEMORY_READ, asked.param("id")),
        },
        Route {
            method: "DELETE",
            path: "/api/v1/memories/{id}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::MEMORY_DELETE, asked.param("id")),
        },
        Route {
            method: "POST",
            path: "/api/v1/memories/search",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::MEMORY_SEARCH),
        },
        Route {
            method: "POST",
            path: "/api/v1/embeddings/generate",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::MEMORY_SEARCH),
        },
    ],
    signed: &[],
};

/// Asks about a memory as it is kept.
#[must_use]
pub fn about(action: Action, memory: &Memory) -> About {
    let said = |name: &str| memory.identifiers.get(name).cloned();
    About::one(action, &memory.id.to_string())
        .at(Scope {
            org_id: said("orgId"),
            team_id: said("teamId"),
            project_id: said("projectId"),
        })
        .with("layer", Some(memory.layer.as_str()))
        .with("owner", said("userId"))
        .with("labels", Some(memory.tags.clone()))
}

/// What a body says of the memory. One that says it otherwise is refused by the handler.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Claim {
    layer: Option<String>,
    identifiers: BTreeMap<String, String>,
    tags: Vec<String>,
}

fn creation(asked: &Asked<'_>) -> About {
    let claim: Claim = serde_json::from_slice(asked.body).unwrap_or_default();
    let said = |name: &str| claim.identifiers.get(name).cloned();
    let of_a_user = claim.layer.as_deref() == Some("user");
    let owner = said("userId").or_else(|| of_a_user.then(|| asked.caller.subject.clone()));
    About::any(action::MEMORY_CREATE)
        .at(Scope {
            org_id: said("orgId"),
            team_id: said("teamId"),
            project_id: said("projectId"),
        })
        .with("layer", claim.layer)
        .with("owner", owner)
        .with("labels", Some(claim.tags))
}

#[cfg(test)]
mod tests {
    use aeterna_kit::auth::{Caller, TenantScope};
    use aeterna_kit::ids::TenantId;
    use axum::http::HeaderMap;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_route_of_the_document_asks_for_a_permission() {
        let document = serde_json::to_value(crate::router::openapi()).expect("JSON");
        assert_eq!(PERMISSIONS.differences(&document), Vec::<String>::new());
    }

    #[test]
    fn what_a_body_says_of_a_memory_is_told_to_the_policies() {
        let caller = Caller {
            scope: TenantScope::for_worker(TenantId::parse("acme").expect("a tenant")),
            subject: "ann".to_owned(),
            roles: Vec::new(),
            on_behalf_of: None,
        };
        let tell = |body: &str| {
            creation(&Asked {
                caller: &caller,
                headers: &HeaderMap::new(),
                params: &[],
                body: body.as_bytes(),
            })
        };
        let about = tell(r#"{"content": "x", "layer": "team", "identifiers": {"teamId": "red"}, "tags": ["a"]}"#);
        assert_eq!(about.resource.scope.team_id.as_deref(), Some("red"));
        assert_eq!(json!(about.properties()), json!({"layer": "team", "labels": ["a"]}));
        let own = tell(r#"{"content": "x", "layer": "user"}"#);
        assert_eq!(own.properties().get("owner"), Some(&json!("ann")));
        assert_eq!(json!(tell("no JSON").properties()), json!({"labels": []}));
    }
}
