//! Asks the governance service for a snapshot, with the credentials of the request that made it necessary.
//!
//! This service has none of its own: a role that may not see policies does not fetch them.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use aeterna_kit::auth::Caller;

use crate::signed::Signed;

/// The longest that a request waits for policies.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Largest snapshot: 4 MiB of policies (the governance service takes no more of a tenant) and 100,000 roles of 100 bytes, as
/// JSON within JSON.
const LARGEST: usize = 32 << 20;

/// Who asks.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-subject"),
    HeaderName::from_static("x-roles"),
    HeaderName::from_static("x-on-behalf-of"),
];

/// What shows the governance service who asks.
#[derive(Debug, Clone)]
pub(super) struct Credentials(HeaderMap);

impl Credentials {
    /// Takes those of a request; the tenant is said by the caller's scope.
    pub(super) fn of(caller: &Caller, headers: &HeaderMap) -> Self {
        let mut own = HeaderMap::new();
        for name in CREDENTIALS {
            if let Some(value) = headers.get(&name) {
                own.insert(name, value.clone());
            }
        }
        if let Ok(tenant) = HeaderValue::from_bytes(caller.scope.tenant().as_str().as_bytes()) {
            own.insert(HeaderName::from_static("x-tenant-id"), tenant);
        }
        Self(own)
    }
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Who asks may not see policies.
    #[error("the governance service gives this caller no snapshot")]
    Refused,
    /// No answer, or another one.
    #[error("the governance service gives no snapshot")]
    Asked(#[from] reqwest::Error),
    /// The answer is too large.
    #[error("the snapshot has more than {LARGEST} bytes")]
    Large,
    /// The answer is no signed text.
    #[error("the answer is no signed text")]
    Unreadable(#[from] serde_json::Error),
}

/// A client of the governance service.
#[derive(Debug)]
pub(super) struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// Makes a client; nothing is asked yet.
    pub(super) fn new(base: &str) -> reqwest::Result<Self> {
        // The process has one TLS provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            // A redirect would carry the caller's token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let url = format!("{}/api/v1/policies/snapshot", base.trim_end_matches('/'));
        http.get(&url).build()?;
        Ok(Self { url, http })
    }

    /// Asks. The policies are left out of the answer when they are those of the hash.
    pub(super) async fn fetch(&self, whose: Credentials, known: Option<&str>) -> Result<Signed, Error> {
        let url = known.map_or_else(|| self.url.clone(), |hash| format!("{}?known={hash}", self.url));
        let answer = self.http.get(url).headers(whose.0).send().await?;
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Error::Refused);
        }
        let mut answer = answer.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Error::Large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
