//! By whom something is asked or done.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use aeterna_kit::auth::{Authenticator, Caller, TenantScope};
use aeterna_kit::problem::Problem;
use aeterna_policy::guard::Judge;

use crate::access::Rights;

/// A caller, as this service looks at one.
#[derive(Debug, Clone)]
pub struct By {
    /// In whose tenant.
    pub scope: TenantScope,
    /// With which rights.
    pub rights: Rights,
    /// Under which policies.
    pub judge: Judge,
}

impl<S> FromRequestParts<S> for By
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Ok(judge) = Judge::from_request_parts(parts, state).await;
        Ok(Self {
            rights: Rights::of(&caller),
            scope: caller.scope,
            judge,
        })
    }
}
