//! Where a request came from, as its headers say. For the audit log only; nothing is decided by it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

/// Where a request came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The request's id, which the HTTP stack has checked or made.
    pub request_id: Option<String>,
    /// `cli`, `ui` or `api`, as the client says.
    pub via: Option<String>,
    /// The client's name for itself.
    pub user_agent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let text = |name: &str| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(Self {
            request_id: text("x-request-id"),
            via: text("x-aeterna-client-kind").filter(|kind| ["cli", "ui", "api"].contains(&kind.as_str())),
            user_agent: text(USER_AGENT.as_str()),
        })
    }
}
