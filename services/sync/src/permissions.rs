//! Which permission each route asks for, where the service decides by policies.
//!
//! Of a job that is started with a source the policies are told the source's type. Of a connection or a job that is there, a
//! request knows the id alone: the handler asks a second time once it knows the rest ([`about_stored`]). What the job then
//! writes is decided where it is written, for its token is its starter's. A test holds the list to the OpenAPI document.

use aeterna_policy::guard::route::{About, Access, Asked, Body, Route, Routes};
use aeterna_policy::rbac::Action;
use aeterna_policy::rbac::action;
use serde::Deserialize;
use uuid::Uuid;

use crate::connection;

/// The routes.
pub const PERMISSIONS: Routes = Routes {
    guarded: &[
        Route {
            method: "POST",
            path: "/api/v1/sync/start",
            access: Access::Write,
            body: Body::Read,
            about: start,
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/status/{id}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_READ, asked.param("id")),
        },
        Route {
            method: "POST",
            path: "/api/v1/sync/cancel/{id}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_CANCEL, asked.param("id")),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/jobs",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::SYNC_READ),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/rejects",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::SYNC_READ),
        },
        Route {
            method: "POST",
            path: "/api/v1/sync/retry/{id}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("id")),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/connections",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::SYNC_READ),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/connections/{id}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_READ, asked.param("id")),
        },
        Route {
            method: "DELETE",
            path: "/api/v1/sync/connections/{id}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("id")),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/schedules",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::SYNC_READ),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/schedules/{connectionId}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_READ, asked.param("connectionId")),
        },
        Route {
            method: "PUT",
            path: "/api/v1/sync/schedules/{connectionId}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("connectionId")),
        },
        Route {
            method: "DELETE",
            path: "/api/v1/sync/schedules/{connectionId}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("connectionId")),
        },
        Route {
            method: "GET",
            path: "/api/v1/sync/webhooks/{connectionId}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_READ, asked.param("connectionId")),
        },
        Route {
            method: "PUT",
            path: "/api/v1/sync/webhooks/{connectionId}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("connectionId")),
        },
        Route {
            method: "DELETE",
            path: "/api/v1/sync/webhooks/{connectionId}",
            access: Access::Write,
            body: Body::Unread,
            about: |asked| About::one(action::SYNC_START, asked.param("connectionId")),
        },
    ],
    signed: &[("POST", "/api/v1/sync/webhooks/{tenant}/{connectionId}")],
};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claim {
    source: Option<Source>,
    connection_id: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
struct Source {
    r#type: String,
}

/// Asks about a connection or a job that is there: what it reads from, and who made it.
#[must_use]
pub fn about_stored(action: Action, id: Uuid, source: &connection::Source, owner: &str) -> About {
    About::one(action, &id.to_string())
        .with("source", Some(source.kind()))
        .with("owner", Some(owner))
}

fn start(asked: &Asked<'_>) -> About {
    let claim: Claim = serde_json::from_slice(asked.body).unwrap_or_default();
    let id = claim.connection_id.map(|id| id.to_string());
    About::one(action::SYNC_START, id.as_deref().unwrap_or("any"))
        .with("source", claim.source.map(|source| source.r#type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_the_name_that_a_request_gives_it() {
        for (kind, config) in [
            ("directory", serde_json::json!({"path": "a"})),
            ("http_ndjson", serde_json::json!({"url": "https://example.com/"})),
            ("git", serde_json::json!({"url": "https://example.com/x.git"})),
            ("github", serde_json::json!({"repository": "team/docs"})),
            (
                "s3",
                serde_json::json!({"endpoint": "https://example.com", "bucket": "docs"}),
            ),
            ("knowledge_to_memory", serde_json::json!({})),
        ] {
            let text = serde_json::json!({"type": kind, "config": config});
            let source: connection::Source = serde_json::from_value(text).expect(kind);
            let about = about_stored(action::SYNC_START, Uuid::nil(), &source, "ann");
            assert_eq!(about.properties().get("source"), Some(&serde_json::json!(kind)));
            assert_eq!(about.properties().get("owner"), Some(&serde_json::json!("ann")));
        }
    }

    #[test]
    fn every_route_of_the_document_asks_for_a_permission() {
        let document = serde_json::to_value(crate::router::openapi()).expect("JSON");
        assert_eq!(PERMISSIONS.differences(&document), Vec::<String>::new());
    }
}
