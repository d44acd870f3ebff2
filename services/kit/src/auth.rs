//! Who calls, and for which tenant.
//!
//! [`Caller`] stands in the signature of every handler that touches a tenant's data; nothing else makes a [`TenantScope`]
//! for a request. Two modes, and no default: `disabled`, for development, believes the header `X-Tenant-ID`; `jwt` believes
//! what a signed token says, and the header may only choose among the token's tenants.

mod development;
mod jwt;
mod limit;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::ids::TenantId;
use crate::problem::{Code, Problem};

pub use jwt::{Key, KeyError, Verifier};
pub use limit::Limit;

/// The header that names the tenant.
const TENANT: &str = "X-Tenant-ID";

/// The right to see one tenant's rows.
///
/// Only [`Caller`] makes one for a request, from what has been proved. Workers, which act for a tenant that a row names,
/// say so with [`TenantScope::for_worker`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope(TenantId);

impl TenantScope {
    /// Makes the scope of a worker: relay, relocator, sweeper. Never for a request.
    #[must_use]
    pub fn for_worker(tenant: TenantId) -> Self {
        Self(tenant)
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0
    }
}

/// Who makes a request, and whose data it is about.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant's scope.
    pub scope: TenantScope,
    /// The token's `sub`; `X-Subject` or `anonymous` where nobody has to prove anything.
    pub subject: String,
    /// The token's `roles`; where nobody has to prove anything `X-Roles`, or `TenantAdmin`.
    pub roles: Vec<String>,
    /// Whom an agent acts for: the token's `onBehalfOf`, or `X-On-Behalf-Of`.
    pub on_behalf_of: Option<String>,
}

impl Caller {
    /// Makes this the caller of a request, for all who ask after it: for a layer that knows more of somebody's roles than
    /// the token says.
    pub fn settle(self, extensions: &mut Extensions) {
        extensions.insert(Proved(self));
    }
}

/// How callers prove who they are.
#[derive(Debug)]
pub enum Mode {
    /// They do not. For development.
    Disabled {
        /// The tenant of requests that name none.
        default_tenant: Option<TenantId>,
    },
    /// By a signed token.
    Jwt(Box<Verifier>),
}

/// Checks callers; part of the state of every service.
#[derive(Debug, Clone)]
pub struct Authenticator {
    mode: Arc<Mode>,
    limit: Arc<Limit>,
}

impl Authenticator {
    /// Makes an authenticator; warns when it lets everybody in.
    #[must_use]
    pub fn new(mode: Mode, limit: Limit) -> Self {
        let open = matches!(mode, Mode::Disabled { .. });
        if open {
            tracing::warn!("authentication is disabled: every caller may name any tenant");
        }
        metrics::gauge!("auth_disabled").set(f64::from(u8::from(open)));
        Self {
            mode: Arc::new(mode),
            limit: Arc::new(limit),
        }
    }

    /// Tells whether callers prove nothing.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        matches!(*self.mode, Mode::Disabled { .. })
    }

    fn identify(&self, parts: &Parts) -> Result<Caller, Problem> {
        let named = named_tenant(parts)?;
        let caller = match &*self.mode {
            Mode::Disabled { default_tenant } => {
                let tenant = named.or_else(|| default_tenant.clone()).ok_or_else(missing_tenant)?;
                development::caller(parts, tenant)?
            }
            Mode::Jwt(verifier) => {
                let claims = verifier.verify(bearer(parts)?)?;
                Caller {
                    scope: TenantScope(choose(&claims.tenants, named)?),
                    subject: claims.subject,
                    roles: claims.roles,
                    on_behalf_of: claims.on_behalf_of,
                }
            }
        };
        self.limit.check(caller.scope.tenant())?;
        Ok(caller)
    }
}

fn missing_tenant() -> Problem {
    Problem::field(Code::MissingTenant, TENANT, "name the tenant in the header X-Tenant-ID")
}

fn named_tenant(parts: &Parts) -> Result<Option<TenantId>, Problem> {
    let Some(value) = parts.headers.get(TENANT) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::field(Code::InvalidUtf8, TENANT, "the tenant id is not UTF-8"))?;
    TenantId::parse(text)
        .map(Some)
        .map_err(|error| Problem::field(Code::InvalidTenant, TENANT, error.to_string()))
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "send a token: Authorization: Bearer …"))
}

/// A header chooses among the token's tenants; it never adds one.
fn choose(allowed: &[TenantId], named: Option<TenantId>) -> Result<TenantId, Problem> {
    match (named, allowed) {
        (Some(named), allowed) if allowed.contains(&named) => Ok(named),
        (Some(_), _) => Err(Problem::new(
            Code::Forbidden,
            "the token does not cover the tenant in X-Tenant-ID",
        )),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Problem::new(Code::Forbidden, "the token covers no tenant")),
        (None, _) => Err(missing_tenant()),
    }
}

/// A caller who has proved who it is, for whoever else asks about the same request.
#[derive(Clone)]
struct Proved(Caller);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Authenticator: axum::extract::FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        use axum::extract::FromRef as _;
        // A layer before the handler has asked already; asking again would count twice against the tenant's rate.
        if let Some(Proved(caller)) = parts.extensions.get() {
            return Ok(caller.clone());
        }
        let caller = Authenticator::from_ref(state).identify(parts)?;
        parts.extensions.insert(Proved(caller.clone()));
        Ok(caller)
    }
}

#[cfg(test)]
mod tests;
