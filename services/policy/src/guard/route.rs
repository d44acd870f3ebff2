//! Which permission each route of a service asks for.
//!
//! A service lists its routes once, beside its router; a test of the service holds the list to its OpenAPI document. What a
//! request says of a thing (its layer, its place, its path) is told to the policies; what only the row knows is not.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use aeterna_kit::auth::Caller;

use crate::engine::{Resource, Scope};
use crate::rbac::Action;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// Whether the permission depends on the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It does not; the body is not looked at.
    Unread,
    /// It does.
    Read,
}

/// A route and its permission.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its method.
    pub method: &'static str,
    /// Its path, as the OpenAPI document has it.
    pub path: &'static str,
    /// What it does.
    pub access: Access,
    /// Whether the permission depends on the body.
    pub body: Body,
    /// What it asks to do to what.
    pub about: fn(&Asked<'_>) -> About,
}

/// A request before its handler has seen it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The parameters of the path, decoded.
    pub params: &'a [(String, String)],
    /// The body, where the route reads it; the handler may still find that it does not fit.
    pub body: &'a [u8],
}

impl Asked<'_> {
    /// Returns a parameter of the path; empty where there is none.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct About {
    /// What to do.
    pub action: Action,
    /// To what.
    pub resource: Resource,
}

impl About {
    /// Asks about a thing by its id.
    #[must_use]
    pub fn one(action: Action, id: &str) -> Self {
        let resource = Resource {
            kind: action.resource.to_owned(),
            id: id.to_owned(),
            ..Resource::default()
        };
        Self { action, resource }
    }

    /// Asks about what has no id yet, or about many.
    #[must_use]
    pub fn any(action: Action) -> Self {
        Self::one(action, "any")
    }

    /// Says where it belongs.
    #[must_use]
    pub fn at(mut self, scope: Scope) -> Self {
        self.resource.scope = scope;
        self
    }

    /// Says a property of it, if it is said.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.resource.properties.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Returns the properties.
    #[must_use]
    pub fn properties(&self) -> &Map<String, Value> {
        &self.resource.properties
    }
}

/// The routes of a service.
#[derive(Debug, Clone, Copy)]
pub struct Routes {
    /// Those that ask for a permission.
    pub guarded: &'static [Route],
    /// Those whose senders have no token and prove themselves by a signature, which the handler checks: method and path.
    pub signed: &'static [(&'static str, &'static str)],
}

impl Routes {
    /// Returns the route of a request.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<Route> {
        // What answers GET answers HEAD as well.
        let method = if method == "HEAD" { "GET" } else { method };
        self.guarded
            .iter()
            .find(|route| route.method == method && route.path == path)
            .copied()
    }

    /// Whether a route's sender has no token.
    #[must_use]
    pub fn is_signed(&self, method: &str, path: &str) -> bool {
        self.signed.contains(&(method, path))
    }

    /// Returns what a document has and this list has not, or has and the document has not. For tests.
    #[must_use]
    pub fn differences(&self, document: &Value) -> Vec<String> {
        let paths = document.get("paths").and_then(Value::as_object);
        let documented: Vec<(String, &str)> = paths
            .into_iter()
            .flatten()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(move |(method, _)| (method.to_uppercase(), path.as_str()))
            })
            .collect();
        let guarded = self.guarded.iter().map(|route| (route.method, route.path));
        let listed: Vec<(&str, &str)> = guarded.chain(self.signed.iter().copied()).collect();
        let unlisted = documented
            .iter()
            .filter(|(method, path)| !listed.contains(&(method.as_str(), path)))
            .map(|(method, path)| format!("{method} {path} asks for no permission"));
        let unknown = listed
            .iter()
            .filter(|(method, path)| !documented.iter().any(|(is, at)| is == method && at == path))
            .map(|(method, path)| format!("{method} {path} is no route"));
        unlisted.chain(unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rbac::action;

    const ROUTES: Routes = Routes {
        guarded: &[Route {
            method: "GET",
            path: "/api/v1/memories/{id}",
            access: Access::Read,
            body: Body::Unread,
            about: |asked| About::one(action::MEMORY_READ, asked.param("id")),
        }],
        signed: &[("POST", "/hooks")],
    };

    #[test]
    fn head_is_a_get_and_other_methods_are_not() {
        assert!(ROUTES.find("GET", "/api/v1/memories/{id}").is_some());
        assert!(ROUTES.find("HEAD", "/api/v1/memories/{id}").is_some());
        assert!(ROUTES.find("DELETE", "/api/v1/memories/{id}").is_none());
    }

    #[test]
    fn a_route_without_a_permission_and_a_permission_without_a_route_are_named() {
        let same = json!({"paths": {"/api/v1/memories/{id}": {"get": {}}, "/hooks": {"post": {}}}});
        assert_eq!(ROUTES.differences(&same), Vec::<String>::new());
        let other = json!({"paths": {"/api/v1/memories/{id}": {"delete": {}}}});
        assert_eq!(ROUTES.differences(&other).len(), 3);
    }
}
