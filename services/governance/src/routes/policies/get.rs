//! `GET /api/v1/policies/{id}`: one policy and its versions.

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Path, Query};
use aeterna_kit::problem::Problem;

use super::view::{View, absent};
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies;

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// The version; the one in force unless said.
    pub version: Option<i32>,
}

/// A policy with its history.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policy {
    /// The version that was asked for.
    #[serde(flatten)]
    pub policy: View,
    /// The newest hundred versions, newest first.
    pub versions: Vec<Version>,
}

/// A version without what it says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its number.
    pub version: i32,
    /// SHA-256 of what it says.
    pub content_hash: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Returns a policy.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}", tag = "policies",
    params(("id" = Uuid, Path, description = "The policy's id"), Parameters),
    responses(
        (status = 200, description = "The policy; its ETag is for If-Match", body = Policy),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such policy, or no such version"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn get(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Query(asked): Query<Parameters>,
) -> Result<Response, Problem> {
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_READ, &id.to_string()).await?;
    let stored = policies::fetch(&mut desk.tx, id, asked.version).await.or_problem()?;
    let stored = stored.ok_or_else(|| absent(id))?;
    let versions = policies::fetch_versions(&mut desk.tx, id).await.or_problem()?;
    desk.close().await?;
    let version =
        |(version, content_hash, created_by, created_at): (i32, String, String, jiff_sqlx::Timestamp)| Version {
            version,
            content_hash,
            created_by,
            created_at: created_at.to_jiff(),
        };
    let policy = Policy {
        policy: View::from(stored),
        versions: versions.into_iter().map(version).collect(),
    };
    let etag = format!("\"{}\"", policy.policy.version);
    Ok(([(header::ETAG, etag)], axum::Json(policy)).into_response())
}
