//! Where a request came from, as its headers say. For the audit log only; nothing is decided by it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::ToSchema;

/// A kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClientKind)]
pub enum Via {
    /// A command line.
    Cli,
    /// A user interface.
    Ui,
    /// A program.
    Api,
}

impl Via {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Ui => "ui",
            Self::Api => "api",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Cli, Self::Ui, Self::Api]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The request's id, which the HTTP stack has checked or made.
    pub request_id: Option<String>,
    /// As the client says.
    pub via: Option<Via>,
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
            via: text("x-aeterna-client-kind").and_then(|kind| Via::parse(&kind)),
            user_agent: text(USER_AGENT.as_str()),
        })
    }
}
