//! Signed tokens (RFC 7519).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::ids::TenantId;
use crate::problem::{Code, Problem};

/// How far the clocks of issuer and service may be apart, in seconds.
const LEEWAY: u64 = 60;

/// The key that tokens are signed with. Its kind fixes the algorithms: a token cannot choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A shared secret, for HS256.
    Secret(&'a [u8]),
    /// A public key in PEM, for RS256, ES256 or EdDSA as its kind is.
    Public(&'a [u8]),
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A short secret can be guessed.
    #[error("the JWT secret has {0} bytes; HS256 needs at least 32")]
    Short(usize),
    /// It is no PEM of a known kind.
    #[error("the JWT public key is not an RSA, EC P-256 or Ed25519 key in PEM")]
    Pem,
}

/// Checks tokens.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("algorithms", &self.validation.algorithms)
            .finish_non_exhaustive()
    }
}

/// What a token says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub subject: String,
    pub tenants: Vec<TenantId>,
    pub roles: Vec<String>,
    pub on_behalf_of: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    sub: String,
    tenant: Option<String>,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(rename = "onBehalfOf")]
    on_behalf_of: Option<String>,
}

impl Verifier {
    /// Makes a verifier; `issuer` and `audience` are demanded of tokens when they are given.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(key: Key<'_>, issuer: Option<&str>, audience: Option<&str>) -> Result<Self, KeyError> {
        let (key, algorithm) = match key {
            Key::Secret(secret) if secret.len() < 32 => return Err(KeyError::Short(secret.len())),
            Key::Secret(secret) => (DecodingKey::from_secret(secret), Algorithm::HS256),
            Key::Public(pem) => DecodingKey::from_rsa_pem(pem)
                .map(|key| (key, Algorithm::RS256))
                .or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256)))
                .or_else(|_| DecodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA)))
                .map_err(|_| KeyError::Pem)?,
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        Ok(Self { key, validation })
    }

    pub(super) fn verify(&self, token: &str) -> Result<Claims, Problem> {
        let raw = decode::<Raw>(token, &self.key, &self.validation)
            .map_err(|error| {
                #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
                let detail = match error.kind() {
                    jsonwebtoken::errors::ErrorKind::ExpiredSignature => "the token has expired",
                    jsonwebtoken::errors::ErrorKind::InvalidAudience => "the token is for somebody else",
                    jsonwebtoken::errors::ErrorKind::InvalidIssuer => "the token is from another issuer",
                    _ => "the token is not valid",
                };
                Problem {
                    cause: Some(error.to_string()),
                    ..Problem::new(Code::Unauthenticated, detail)
                }
            })?
            .claims;
        let tenants = raw
            .tenant
            .into_iter()
            .chain(raw.tenants)
            .map(TenantId::parse)
            .collect::<Result<_, _>>();
        let tenants =
            tenants.map_err(|error| Problem::hiding(Code::Forbidden, "the token names an invalid tenant", &error))?;
        Ok(Claims {
            subject: raw.sub,
            tenants,
            roles: raw.roles,
            on_behalf_of: raw.on_behalf_of,
        })
    }
}
