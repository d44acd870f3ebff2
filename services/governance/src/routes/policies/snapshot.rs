//! `GET /api/v1/policies/snapshot`: the tenant's policies, signed.

use axum::Json;
use axum::extract::State as Shared;
use serde::Deserialize;
use utoipa::IntoParams;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::Query;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::snapshot::Snapshot;

use crate::admission::Admitted;
use crate::beside::beside;
use crate::canonical;
use crate::origin::Origin;
use crate::rbac::action;
use crate::signing::{Domain, Signed};
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::roles;

/// What the caller has.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// The `policySetHash` of the snapshot that the caller has. While the policies are still those, they are left out.
    pub known: Option<String>,
}

/// Returns the tenant's active policies, and the roles that were given or taken here, as signed JSON: `tenantId`, `version`,
/// `policySetHash`, `issuedAt`, `maxAgeSeconds`, `policies`, `roles`. The other services decide by it themselves, and write
/// nothing by one that is older than `maxAgeSeconds`.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/policies/snapshot", tag = "policies", params(Parameters),
    responses(
        (status = 200, description = "The set, signed", body = Signed),
        (status = 400, description = "The request names no tenant, or a parameter does not fit"),
        (status = 403, description = "The caller may not"),
        (status = 501, description = "The service has no signing key"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn snapshot(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Signed>, Problem> {
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_SNAPSHOT, "all").await?;
    let signer = state.signer.clone().ok_or_else(|| {
        let detail = "set SIGNING_KEY_FILE on the governance service";
        Problem::new(Code::NoSigningKey, detail)
    })?;
    // The time before the reading: what changes meanwhile is in the next one.
    let issued_at = clock::now();
    let (version, set) = state.sets.versioned(&mut desk.tx).await?;
    let roles = roles::fetch_assigned(&mut desk.tx).await.or_problem()?;
    desk.close().await?;
    let is_known = asked.known.as_deref() == Some(set.hash());
    let (tenant_id, max_age_seconds) = (caller.scope.tenant().to_string(), state.snapshot_max_age);
    let sign = move || {
        let snapshot = Snapshot {
            tenant_id,
            version,
            policy_set_hash: set.hash().to_owned(),
            issued_at,
            max_age_seconds,
            policies: (!is_known).then(|| set.policies().to_vec()),
            roles,
        };
        let text = canonical::write(&serde_json::json!(snapshot));
        signer.sign(Domain::PolicySnapshot, text)
    };
    Ok(Json(beside(sign).await?))
}
