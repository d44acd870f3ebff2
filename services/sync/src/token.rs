//! The token that a job shows to the services it delivers to.
//!
//! Made for one job, for its tenant alone, with the roles of whoever started it, and short-lived: a sync may do what its
//! starter may, and an audit of a target tells which connection and job it was. Where callers prove nothing, the job names
//! its tenant in the header as everybody does.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::RequestBuilder;
use serde::Serialize;
use uuid::Uuid;

use aeterna_kit::clock;
use aeterna_kit::config::{AuthMode, Settings};

use crate::job::{Class, Failure};
use crate::target::For;

/// How long a token is good for: a request's deadline, and the leeway of clocks.
const LIFE: i64 = 120;

/// Makes tokens.
#[derive(Clone)]
pub enum Tokens {
    /// Callers prove nothing, so jobs do not either.
    Open,
    /// Callers prove who they are, and there is nothing that a job could prove it with.
    Keyless,
    /// Signed as the services of this installation check them.
    Signed(Arc<Signer>),
}

/// What signs.
pub struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    issuer: Option<String>,
    audience: Option<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Keyless => "Keyless",
            Self::Signed(_) => "Signed",
        })
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant: &'a str,
    roles: &'a [String],
    jti: Uuid,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Tokens {
    /// Makes tokens as the services of this installation check them.
    ///
    /// # Errors
    /// When a file with a key cannot be read, or holds none.
    pub fn new(kit: &Settings, key_file: Option<&PathBuf>) -> anyhow::Result<Self> {
        if kit.auth_mode != Some(AuthMode::Jwt) {
            return Ok(Self::Open);
        }
        let (key, algorithm) = match (key_file, &kit.auth_jwt_secret_file) {
            (Some(path), _) => {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                private_key(&pem)
                    .with_context(|| format!("{} holds no RSA, EC or Ed25519 key in PEM", path.display()))?
            }
            (None, Some(path)) => {
                let secret = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                (EncodingKey::from_secret(secret.trim_ascii_end()), Algorithm::HS256)
            }
            (None, None) => return Ok(Self::Keyless),
        };
        // A key of another curve than the algorithm's shows itself here, and not in each job.
        encode(&Header::new(algorithm), &(), &key).context("the key does not sign as its kind says")?;
        Ok(Self::Signed(Arc::new(Signer {
            key,
            algorithm,
            issuer: kit.auth_jwt_issuer.clone(),
            audience: kit.auth_jwt_audience.clone(),
        })))
    }

    /// Shows a job's token with a request.
    ///
    /// # Errors
    /// When it cannot be signed, for one where there is no key.
    pub fn show(&self, request: RequestBuilder, whose: For<'_>) -> Result<RequestBuilder, Failure> {
        let subject = whose.subject();
        let request = request.header("X-Tenant-ID", whose.tenant.as_str().as_bytes());
        let signer = match self {
            Self::Open => {
                let roles = whose.roles.join(",");
                return Ok(request.header("X-Subject", subject).header("X-Roles", roles.as_bytes()));
            }
            Self::Keyless => {
                let message = "jobs have no key to sign with: set SYNC_TOKEN_KEY_FILE on the sync service";
                return Err(Failure::new(Class::Config, "TOKEN_KEY_MISSING", message));
            }
            Self::Signed(signer) => signer,
        };
        let claims = Claims {
            sub: &subject,
            tenant: whose.tenant.as_str(),
            roles: whose.roles,
            jti: whose.job,
            exp: clock::now().as_second() + LIFE,
            iss: signer.issuer.as_deref(),
            aud: signer.audience.as_deref(),
        };
        let token = encode(&Header::new(signer.algorithm), &claims, &signer.key)
            .map_err(|_| Failure::new(Class::Config, "TOKEN_NOT_SIGNED", "the job's token cannot be signed"))?;
        Ok(request.bearer_auth(token))
    }
}

fn private_key(pem: &[u8]) -> Option<(EncodingKey, Algorithm)> {
    EncodingKey::from_rsa_pem(pem)
        .map(|key| (key, Algorithm::RS256))
        .or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256)))
        .or_else(|_| EncodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA)))
        .ok()
}

#[cfg(test)]
mod tests {
    use aeterna_kit::ids::TenantId;
    use tokio::time::Instant;

    use super::*;
    use crate::lease::Lease;

    #[test]
    fn a_key_that_does_not_fit_its_algorithm_signs_nothing() {
        let tokens = Tokens::Signed(Arc::new(Signer {
            key: EncodingKey::from_secret(b"no RSA key"),
            algorithm: Algorithm::RS256,
            issuer: None,
            audience: None,
        }));
        let whose = For {
            tenant: &TenantId::parse("acme").expect("a tenant"),
            connection: Uuid::nil(),
            job: Uuid::nil(),
            roles: &[],
            origin: "import",
            lease: &Lease::until(Instant::now()),
        };
        // A client wants a TLS provider, though nothing is asked.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().get("http://localhost/");
        let failure = tokens.show(request, whose).expect_err("a failure");
        assert_eq!((failure.class, failure.code), (Class::Config, "TOKEN_NOT_SIGNED"));
    }
}
