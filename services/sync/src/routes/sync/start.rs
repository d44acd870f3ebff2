//! `POST /api/v1/sync/start`: starts a job.

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::location;
use crate::access::{require_deleter, require_starter, roles_of};
use crate::connection::{self, Source, Target};
use crate::job::{Job, Limits, Mode, Options};
use crate::routes::connections::admit;
use crate::state::State;
use crate::store::{self, NewJob, Over, Recorded};

/// The header that makes a repeated start harmless.
const KEY: &str = "Idempotency-Key";

/// Longest key, in bytes.
const LONGEST_KEY: usize = 256;

/// What to run over, and how. Either source and target, or connectionId.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = StartRequest)]
pub struct Request {
    /// Where items come from.
    pub source: Option<Source>,
    /// Where they go.
    pub target: Option<Target>,
    /// A source and a target of an earlier start.
    pub connection_id: Option<Uuid>,
    /// How much of the source is looked at.
    #[serde(default)]
    pub mode: Mode,
    /// What the run may take; beyond, it stops.
    #[serde(default)]
    pub limits: Limits,
    /// More than a fifth of the items may vanish.
    #[serde(default)]
    pub allow_mass_delete: bool,
    /// Read and count, and ask nothing of the target: `progress` tells what a run would do, `GET /api/v1/sync/rejects` what
    /// could not be delivered to any target.
    #[serde(default)]
    pub dry_run: bool,
}

/// Starts a job, and makes the connection if the pair of source and target is new.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/sync/start", tag = "sync", request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key starts nothing twice")),
    responses(
        (status = 202, description = "Started; Location says where to look", body = Job),
        (status = 200, description = "The same request with the same key started this job before", body = Job),
        (status = 400, description = "The request names no tenant, is not JSON, or the key does not fit"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such connection"),
        (status = 409, description = "The connection has an active job, or the key was used for another request"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn start(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    require_starter(&caller)?;
    if request.allow_mass_delete {
        require_deleter(&caller)?;
    }
    let asked = Sha256::digest(serde_json::json!(request).to_string());
    let key = read_key(&headers, &caller)?;
    let request = check(request, &caller, &state)?;
    let over = match (&request.source, &request.target, request.connection_id) {
        (Some(source), Some(target), None) => {
            let known = store::find_connection(&state.pool, &caller.scope, (source, target)).await?;
            if let Some(connection) = known {
                admit(&state, &caller, &judge, (connection, action::SYNC_START)).await?;
            }
            Over::Pair(source, target)
        }
        (None, None, Some(connection)) => {
            // What it reads from is in the row, and not in the request.
            admit(&state, &caller, &judge, (connection, action::SYNC_START)).await?;
            Over::Connection(connection)
        }
        _ => return Err(neither()),
    };
    let options = Options {
        allow_mass_delete: request.allow_mass_delete,
        dry_run: request.dry_run,
        limits: request.limits,
        only: None,
    };
    let new = NewJob {
        over,
        mode: request.mode,
        options: &options,
        key: key.as_deref().map(|key| (key, asked.as_slice())),
        created_by: &caller.subject,
        roles: &roles_of(&caller),
    };
    let recorded = store::record_job(&state.pool, &caller.scope, new).await?;
    answer(&state, recorded)
}

/// Answers what recording a job found.
pub(super) fn answer(state: &State, recorded: Recorded) -> Result<Response, Problem> {
    let (status, job) = match recorded {
        Recorded::New(job) => {
            state.wake.notify_one();
            (StatusCode::ACCEPTED, job)
        }
        Recorded::Same(job) => (StatusCode::OK, job),
        Recorded::Busy(active) => {
            let problem = Problem::field(Code::SyncInProgress, "activeJobId", active.to_string());
            return Err(Problem {
                detail: format!("the connection has an active job, {active}"),
                ..problem
            });
        }
        Recorded::KeyTaken(job) => {
            let message = format!("the key was used for another request, which started job {job}");
            return Err(Problem::field(Code::IdempotencyConflict, KEY, message));
        }
        Recorded::NoConnection => {
            return Err(Problem::new(
                Code::ConnectionNotFound,
                "the tenant has no such connection",
            ));
        }
    };
    let location = location(job.id);
    Ok((status, [(header::LOCATION, location)], axum::Json(job)).into_response())
}

fn neither() -> Problem {
    let message = "send source and target, or connectionId alone";
    Problem::field(Code::InvalidBody, "/source", message)
}

fn check(mut request: Request, caller: &Caller, state: &State) -> Result<Request, Problem> {
    request.limits.check()?;
    let (Some(source), Some(target)) = (&request.source, &mut request.target) else {
        return Ok(request);
    };
    if let Target::Memory(memory) = target
        && memory.layer == "user"
    {
        // A memory of a user without a name is the caller's.
        let subject = || caller.subject.clone();
        memory.identifiers.entry("userId".to_owned()).or_insert_with(subject);
    }
    connection::check(source, target)?;
    if !state.services.has(target) {
        let message = "this service has no URL of the target's service";
        return Err(Problem::field(Code::TargetDisabled, "/target/type", message));
    }
    if !state.places.has(source) {
        let message = "this service is not set up for sources of this type, or for secrets";
        return Err(Problem::field(Code::SourceDisabled, "/source/type", message));
    }
    Ok(request)
}

/// Reads the key; one caller's key is not another's.
fn read_key(headers: &HeaderMap, caller: &Caller) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    if key.is_empty() || key.len() > LONGEST_KEY {
        let message = format!("a key has 1 to {LONGEST_KEY} bytes");
        return Err(Problem::field(Code::InvalidHeader, KEY, message));
    }
    let mut digest = Sha256::new();
    digest.update(&caller.subject);
    digest.update([0]);
    digest.update(key.as_bytes());
    Ok(Some(URL_SAFE_NO_PAD.encode(digest.finalize())))
}
