//! The endpoints: a folder a resource, a file a verb.

pub mod context;
pub mod knowledge;
pub mod notes;
mod refusal;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use aeterna_kit::auth::{Authenticator, Caller};
use aeterna_kit::problem::Problem;
use aeterna_policy::guard::Judge;

use crate::access::Rights;
use crate::by::By;

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
