//! Which permission each route asks for, where the service decides by policies.
//!
//! Of an item that is written the policies are told its path, its place, and the kind, layer and status that the request
//! says. What only the row knows is asked about by the store while it holds the row; what a search or an archive holds, by the
//! handler. A test holds the list to the OpenAPI document.

use aeterna_policy::engine::Scope;
use aeterna_policy::guard::route::{About, Access, Asked, Body, Route, Routes};
use aeterna_policy::rbac::{Action, action};
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::access::Rights;
use crate::item::draft::Draft;
use crate::item::{Attributes, Kind, Layer, Status, Stored};
use crate::path::{FolderPath, ItemPath};
use crate::routes::knowledge::body::Body as Sent;

/// The routes.
pub const PERMISSIONS: Routes = Routes {
    guarded: &[
        Route {
            method: "POST",
            path: "/api/v1/knowledge",
            access: Access::Write,
            body: Body::Read,
            about: |asked| writing(None, asked),
        },
        Route {
            method: "PUT",
            path: "/api/v1/knowledge/{path}",
            access: Access::Write,
            body: Body::Read,
            about: |asked| writing(Some(asked.param("path")), asked),
        },
        Route {
            method: "DELETE",
            path: "/api/v1/knowledge/{path}",
            access: Access::Write,
            body: Body::Unread,
            // Whose it is, only the row knows: the store asks for `knowledge.edit` where it is not a draft of the caller's.
            about: |asked| item(action::KNOWLEDGE_PROPOSE, asked.param("path")),
        },
        Route {
            method: "GET",
            path: "/api/v1/knowledge/{path}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| item(action::KNOWLEDGE_READ, asked.param("path")),
        },
        Route {
            method: "GET",
            path: "/api/v1/knowledge/",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::KNOWLEDGE_READ),
        },
        Route {
            method: "GET",
            path: "/api/v1/knowledge",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::KNOWLEDGE_READ),
        },
        Route {
            method: "POST",
            path: "/api/v1/knowledge/import",
            access: Access::Write,
            body: Body::Unread,
            // The handler asks about each file of the archive.
            about: |_| About::any(action::KNOWLEDGE_PROPOSE),
        },
        Route {
            method: "POST",
            path: "/api/v1/knowledge/search",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::KNOWLEDGE_SEARCH),
        },
        Route {
            method: "POST",
            path: "/api/v1/context/assemble",
            access: Access::Read,
            body: Body::Unread,
            about: |_| About::any(action::KNOWLEDGE_SEARCH),
        },
        Route {
            method: "POST",
            path: "/api/v1/notes",
            access: Access::Write,
            body: Body::Unread,
            about: |_| About::any(action::KNOWLEDGE_PROPOSE).with("kind", Some("note")),
        },
        Route {
            method: "POST",
            path: "/api/v1/notes/review",
            access: Access::Write,
            body: Body::Read,
            about: review,
        },
    ],
    signed: &[],
};

/// An item at a path, and the place in the organisation that the path is in: `teams/red/adrs/1.md` is team red's.
fn item(action: Action, path: &str) -> About {
    if path.ends_with('/') {
        return folder(action, path);
    }
    let Ok(path) = ItemPath::parse(path) else {
        return About::one(action, "any");
    };
    let mut segments = path.segments().map(str::to_owned);
    let (folder, id) = (segments.next(), segments.next());
    let place = |name: &str| id.clone().filter(|_| folder.as_deref() == Some(name));
    About::one(action, path.as_str())
        .at(Scope {
            org_id: place("orgs"),
            team_id: place("teams"),
            project_id: place("projects"),
        })
        .with("path", Some(path.as_str()))
}

/// A folder, at its path with a slash at the end: what forbids `secret/*` forbids the folder `secret/`.
fn folder(action: Action, path: &str) -> About {
    match FolderPath::parse(path) {
        Ok(folder) if folder != FolderPath::root() => {
            let prefix = folder.prefix();
            About::one(action, &prefix).with("path", Some(prefix))
        }
        Ok(_) | Err(_) => About::any(action),
    }
}

/// Asks about an item that is there, or about a folder; what is not known of it is empty.
#[must_use]
pub fn about(action: Action, path: &str, [kind, layer, status]: [&str; 3]) -> About {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    item(action, path)
        .with("kind", said(kind))
        .with("layer", said(layer))
        .with("status", said(status))
}

/// Asks about an item as it is kept.
#[must_use]
pub fn about_stored(action: Action, path: &str, attributes: &Attributes) -> About {
    let what = [
        attributes.kind.as_str(),
        attributes.layer.as_str(),
        attributes.status.as_str(),
    ];
    about(action, path, what)
}

/// Asks about an item that is to be written, as far as it says what it is.
#[must_use]
pub fn about_draft(path: &ItemPath, draft: &Draft) -> About {
    let claim = draft.claim(path);
    item(required(claim.status), path.as_str())
        .with("kind", claim.kind.map(Kind::as_str))
        .with("layer", claim.layer.map(Layer::as_str))
        .with("status", claim.status.map(Status::as_str))
}

fn writing(path: Option<&str>, asked: &Asked<'_>) -> About {
    let (named, draft) = sent(asked);
    let path = path.or(named.as_deref()).unwrap_or_default();
    let Some((draft, at)) = draft.zip(ItemPath::parse(path).ok()) else {
        // The handler says what does not fit.
        return item(action::KNOWLEDGE_PROPOSE, path);
    };
    about_draft(&at, &draft)
}

/// Reads what is sent, as the handler does.
fn sent(asked: &Asked<'_>) -> (Option<String>, Option<Draft>) {
    let kind = asked.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("text/markdown") {
        let text = String::from_utf8(asked.body.to_vec()).ok();
        return (None, text.map(Draft::new));
    }
    let Ok(mut body) = serde_json::from_slice::<Sent>(asked.body) else {
        return (None, None);
    };
    (body.path.take(), body.split().ok().map(|(_, draft, _)| draft))
}

/// What it takes to bring an item into a status.
#[must_use]
pub fn required(status: Option<Status>) -> Action {
    match status {
        None | Some(Status::Draft | Status::Proposed) => action::KNOWLEDGE_PROPOSE,
        Some(Status::Accepted) => action::KNOWLEDGE_ACCEPT,
        Some(Status::Deprecated | Status::Superseded | Status::Rejected) => action::KNOWLEDGE_EDIT,
    }
}

/// What it takes to write over an item, or to take it away: what no review has settled is its author's to change.
#[must_use]
pub fn touching(old: &Stored, rights: &Rights) -> Action {
    let own = old.author == rights.subject() && !old.snapshot.attributes.status.needs_review();
    if own {
        action::KNOWLEDGE_PROPOSE
    } else {
        action::KNOWLEDGE_EDIT
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Review {
    path: String,
    decision: String,
}

fn review(asked: &Asked<'_>) -> About {
    let Review { path, decision } = serde_json::from_slice(asked.body).unwrap_or_default();
    let action = match decision.as_str() {
        "accept" => action::KNOWLEDGE_ACCEPT,
        "reject" => action::KNOWLEDGE_EDIT,
        _ => action::KNOWLEDGE_PROPOSE,
    };
    item(action, &path).with("kind", Some("note"))
}

#[cfg(test)]
mod tests {
    use aeterna_kit::auth::{Caller, TenantScope};
    use aeterna_kit::ids::TenantId;
    use axum::http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_route_of_the_document_asks_for_a_permission() {
        let document = serde_json::to_value(crate::router::openapi()).expect("JSON");
        assert_eq!(PERMISSIONS.differences(&document), Vec::<String>::new());
    }

    fn told(method: &str, path: &str, kind: &'static str, body: &str) -> About {
        let caller = Caller {
            scope: TenantScope::for_worker(TenantId::parse("acme").expect("a tenant")),
            subject: "ann".to_owned(),
            roles: Vec::new(),
            on_behalf_of: None,
        };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let route = PERMISSIONS.find(method, path).expect("a route");
        (route.about)(&Asked {
            caller: &caller,
            headers: &headers,
            params: &[("path".to_owned(), "teams/red/adrs/1.md".to_owned())],
            body: body.as_bytes(),
        })
    }

    #[test]
    fn what_is_said_of_an_item_is_told_whichever_way_it_is_said() {
        let file = "---\nstatus: accepted\nkind: note\n---\ntext";
        let json = json!({"content": file}).to_string();
        for (kind, body) in [
            ("text/markdown; charset=utf-8", file),
            ("application/json", json.as_str()),
        ] {
            let about = told("PUT", "/api/v1/knowledge/{path}", kind, body);
            assert_eq!(about.action, action::KNOWLEDGE_ACCEPT);
            assert_eq!(about.resource.scope.team_id.as_deref(), Some("red"));
            let known = json!({"path": "teams/red/adrs/1.md", "kind": "note", "layer": "team", "status": "accepted"});
            assert_eq!(json!(about.properties()), known);
        }
    }

    #[test]
    fn a_field_wins_over_the_front_matter_here_as_in_the_handler() {
        let body = json!({"path": "notes/a.md", "content": "---\nstatus: accepted\n---\nx", "status": "draft", "layer": "org"});
        let about = told("POST", "/api/v1/knowledge", "application/json", &body.to_string());
        assert_eq!(about.action, action::KNOWLEDGE_PROPOSE);
        assert_eq!(
            (about.properties().get("status"), about.properties().get("kind")),
            (Some(&json!("draft")), Some(&json!("note")))
        );
    }

    #[test]
    fn a_folder_is_told_as_its_path_and_the_root_as_none() {
        let about = item(action::KNOWLEDGE_READ, "secret/plans/");
        assert_eq!(about.properties().get("path"), Some(&json!("secret/plans/")));
        assert!(item(action::KNOWLEDGE_READ, "/").properties().is_empty());
    }

    #[test]
    fn a_review_asks_for_what_it_decides() {
        for (decision, action) in [
            ("accept", action::KNOWLEDGE_ACCEPT),
            ("reject", action::KNOWLEDGE_EDIT),
            ("propose", action::KNOWLEDGE_PROPOSE),
        ] {
            let body = json!({"path": "notes/a.md", "version": 1, "decision": decision}).to_string();
            assert_eq!(
                told("POST", "/api/v1/notes/review", "application/json", &body).action,
                action
            );
        }
    }
}
