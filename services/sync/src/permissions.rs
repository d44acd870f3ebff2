//! Which permission each route asks for, where the service decides by policies.
//!
//! Of a job that is started the policies are told the type of its source; of others the id alone. What the job then writes
//! is decided where it is written, for its token is its starter's. A test holds the list to the OpenAPI document.

use aeterna_policy::guard::route::{About, Access, Asked, Body, Route, Routes};
use aeterna_policy::rbac::action;
use serde::Deserialize;

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
#[serde(default)]
struct Claim {
    source: Option<Source>,
}

#[derive(Debug, Deserialize)]
struct Source {
    r#type: String,
}

fn start(asked: &Asked<'_>) -> About {
    let claim: Claim = serde_json::from_slice(asked.body).unwrap_or_default();
    About::any(action::SYNC_START).with("source", claim.source.map(|source| source.r#type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_document_asks_for_a_permission() {
        let document = serde_json::to_value(crate::router::openapi()).expect("JSON");
        assert_eq!(PERMISSIONS.differences(&document), Vec::<String>::new());
    }
}
