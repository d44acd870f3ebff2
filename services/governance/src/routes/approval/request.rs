//! `POST /api/v1/approval/request`: asks for an approval.

use std::collections::BTreeMap;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::hex::hex;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::is_text;

use super::effect::Effect;
use super::settle::Case;
use super::view::{View, details};
use crate::admission::Admitted;
use crate::approval::rules::{self, Risk};
use crate::approval::{Request as Core, Revision, Status, Step};
use crate::canonical;
use crate::engine::{Resource, Scope};
use crate::origin::Origin;
use crate::rbac::{Role, action};
use crate::routes::check_scope;
use crate::state::State;
use crate::store::approvals::{self, Name, Stored};
use crate::store::{OrProblem as _, Scoped, roles};

/// Largest payload, in bytes of JSON.
const PAYLOAD: usize = 64 * 1024;

/// How long a request may wait, in hours: what it is unless said, and at most a month.
const HOURS: (i64, i64) = (72, 720);

/// What is asked for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ApprovalRequest)]
pub struct Request {
    /// What it is about.
    pub request_type: Kind,
    /// The kind of thing, at most 128 bytes.
    pub target_type: Option<String>,
    /// Which one, at most 256 bytes.
    pub target_id: Option<String>,
    /// Where in the organisation.
    #[serde(default)]
    pub scope: Scope,
    /// 1 to 256 bytes.
    pub title: String,
    /// At most 4 KiB.
    pub description: Option<String>,
    /// What will be done, at most 64 KiB. Of type `policy` `{"policyId", "version"}`: that version is activated; of type
    /// `role` `{"principal", "role"}`: it is granted. Of other types the asker does it when he applies the request.
    #[schema(value_type = Object)]
    pub payload: Map<String, Value>,
    /// How much harm it can do; decides what it takes. Config, tenant_migration and granting a role from Admin up are high at
    /// least.
    pub risk_level: Risk,
    /// How many approvers; not fewer than the risk demands.
    pub required_approvals: Option<u32>,
    /// Of which roles; not lower than the risk demands.
    pub approver_roles: Option<Vec<Role>>,
    /// Steps in order, in the place of the two above.
    pub steps: Option<Vec<Step>>,
    /// Hours until it expires, 1 to 720; 72 unless said.
    pub expires_in_hours: Option<i64>,
    /// Why, at most 4 KiB. Needed for high and critical.
    pub justification: Option<String>,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalKind)]
pub enum Kind {
    /// Activating a policy.
    Policy,
    /// Knowledge.
    Knowledge,
    /// Memories.
    Memory,
    /// Granting a role.
    Role,
    /// Configuration.
    Config,
    /// Moving a tenant.
    TenantMigration,
    /// Synchronising.
    Sync,
}

/// A request as it was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// The request.
    #[serde(flatten)]
    pub request: View,
    /// How many people could approve it at this moment.
    pub eligible_approvers: usize,
}

/// Asks for an approval.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/approval/request", tag = "approval", request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key asks for nothing twice")),
    responses(
        (status = 201, description = "Made; it waits for votes", body = Made),
        (status = 200, description = "It was made before, under the same key", body = Made),
        (status = 403, description = "The caller may not"),
        (status = 409, description = "The key was used for another request"),
        (status = 422, description = "A field does not fit, a justification is needed, or nobody could approve it"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn request(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(asked): Json<Request>,
) -> Result<Response, Problem> {
    let steps = check(&asked)?;
    let key = idempotency_key(&headers)?;
    let mut desk = Admitted::open_about(&state, &caller, origin, action::APPROVAL_REQUEST, describe(&asked)).await?;
    let request_hash = hash(&canonical::write(&json!(asked)));
    let own = [desk.principal.human().to_owned(), desk.principal.id.clone()];
    let people = fetch_people(&mut desk.tx, &steps, &own).await.or_problem()?;
    let eligible = people.len();
    if let Some(key) = key
        && let Some(before) = approvals::fetch_by_key(&mut desk.tx, &desk.principal.id, key)
            .await
            .or_problem()?
    {
        return repeat(&mut desk, &before, &request_hash, eligible).await;
    }
    require_satisfiable(&steps, &people)?;
    let now = approvals::fetch_now(&mut desk.tx).await.or_problem()?;
    let number = approvals::take_number(&mut desk.tx, now.to_zoned(jiff::tz::TimeZone::UTC).year())
        .await
        .or_problem()?;
    let new = assemble(asked, steps, &desk, (now, number, request_hash));
    let Some(stored) = approvals::create(&mut desk.tx, &new, key).await.or_problem()? else {
        // Another retry was quicker; the next one finds what it made.
        return Err(Problem::new(
            Code::Unavailable,
            "a request with the same key is being made; try again",
        ));
    };
    let told = details(&stored, &[("eligibleApprovers", json!(eligible))]);
    desk.note("approval.request", ("Approval", &stored.id.to_string()), told)
        .await?;
    desk.close().await?;
    let made = View::of(stored, Vec::new(), &|_| Vec::new());
    Ok(respond(StatusCode::CREATED, made, eligible))
}

/// What the policies are told of it.
fn describe(asked: &Request) -> Resource {
    let properties = [("kind", json!(asked.request_type)), ("risk", json!(asked.risk_level))];
    Resource {
        id: "new".to_owned(),
        scope: asked.scope.clone(),
        properties: properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..Resource::default()
    }
}

async fn repeat(desk: &mut Admitted, before: &Stored, hash: &str, eligible: usize) -> Result<Response, Problem> {
    if before.request_hash != hash {
        let detail = "the key was used for another request";
        return Err(Problem::field(Code::IdempotencyConflict, "Idempotency-Key", detail));
    }
    let case = Case::fetch(desk, &Name::Id(before.id)).await?;
    Ok(respond(StatusCode::OK, case.view(), eligible))
}

fn respond(status: StatusCode, request: View, eligible_approvers: usize) -> Response {
    let location = format!("/api/v1/approval/{}", request.id);
    let made = Made {
        request,
        eligible_approvers,
    };
    (status, [(header::LOCATION, location)], axum::Json(made)).into_response()
}

fn assemble(asked: Request, steps: Vec<Step>, desk: &Admitted, made: (Timestamp, String, String)) -> Stored {
    let (now, number, request_hash) = made;
    let payload = canonical::write(&Value::Object(asked.payload));
    let hours = asked.expires_in_hours.unwrap_or(HOURS.0);
    Stored {
        id: Uuid::now_v7(),
        number,
        request_type: kind_name(asked.request_type).to_owned(),
        target: (asked.target_type, asked.target_id),
        scope: asked.scope,
        title: asked.title,
        description: asked.description,
        risk: asked.risk_level,
        justification: asked.justification,
        broken_glass: None,
        application: None,
        request_hash,
        created_at: now,
        resolved_at: None,
        core: Core {
            status: Status::Pending,
            requester: desk.principal.human().to_owned(),
            requested_by: desk.principal.id.clone(),
            steps,
            votes: Vec::new(),
            payload: Revision {
                number: 1,
                hash: hash(&payload),
            },
            expires_at: now.checked_add(SignedDuration::from_hours(hours)).unwrap_or(now),
        },
        payload,
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Policy => "policy",
        Kind::Knowledge => "knowledge",
        Kind::Memory => "memory",
        Kind::Role => "role",
        Kind::Config => "config",
        Kind::TenantMigration => "tenant_migration",
        Kind::Sync => "sync",
    }
}

/// The hash of a payload in its one spelling.
#[must_use]
pub fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn check(asked: &Request) -> Result<Vec<Step>, Problem> {
    let texts = [
        ("/title", Some(&asked.title), 256),
        ("/targetType", asked.target_type.as_ref(), 128),
        ("/targetId", asked.target_id.as_ref(), 256),
        ("/description", asked.description.as_ref(), 4 * 1024),
        ("/justification", asked.justification.as_ref(), 4 * 1024),
    ];
    for (pointer, text, most) in texts {
        if text.is_some_and(|text| !is_text(text, most)) {
            return refuse(pointer, &format!("1 to {most} bytes without NUL"));
        }
    }
    check_scope("/scope", &asked.scope)?;
    check_payload(&asked.payload)?;
    if asked
        .expires_in_hours
        .is_some_and(|hours| !(1..=HOURS.1).contains(&hours))
    {
        return refuse("/expiresInHours", "1 to 720 hours");
    }
    if asked.risk_level.needs_justification() && asked.justification.is_none() {
        let detail = "a request of this risk says why it is needed";
        return Err(Problem::field(Code::JustificationRequired, "/justification", detail));
    }
    let kind = kind_name(asked.request_type);
    let effect = Effect::read(kind, &asked.payload)?;
    check_floor(effect.floor(kind), asked.risk_level, "/riskLevel")?;
    let least = effect.least();
    let steps = plan_steps(asked, least)?;
    let checked = rules::check(&steps, asked.risk_level).and_then(|()| rules::check_least(&steps, least));
    match checked {
        Ok(()) => Ok(steps),
        Err(message) => refuse(
            if asked.steps.is_some() {
                "/steps"
            } else {
                "/requiredApprovals"
            },
            message,
        ),
    }
}

/// Refuses a request that says less risk than its type and payload have.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check_floor(floor: Risk, said: Risk, pointer: &str) -> Result<(), Problem> {
    if said >= floor {
        return Ok(());
    }
    let message = format!(
        "config, tenant_migration and granting a role from Admin up are of {} risk at least",
        json!(floor).as_str().unwrap_or_default()
    );
    refuse(pointer, &message)
}

/// Refuses a payload that is too large.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check_payload(payload: &Map<String, Value>) -> Result<(), Problem> {
    if json!(payload).to_string().len() > PAYLOAD {
        return refuse("/payload", "at most 64 KiB of JSON");
    }
    Ok(())
}

/// The steps that are asked for, or those of the risk with more people or other roles in the first.
fn plan_steps(asked: &Request, least: Role) -> Result<Vec<Step>, Problem> {
    if let Some(steps) = &asked.steps {
        if asked.required_approvals.is_some() || asked.approver_roles.is_some() {
            return refuse("/steps", "steps, or requiredApprovals and approverRoles");
        }
        return Ok(steps.clone());
    }
    let mut steps = asked.risk_level.steps();
    for role in steps.iter_mut().flat_map(|step| &mut step.roles) {
        *role = least.max(*role);
    }
    if let Some(first) = steps.first_mut() {
        first.required = asked.required_approvals.unwrap_or(first.required);
        if let Some(roles) = &asked.approver_roles {
            first.roles.clone_from(roles);
        }
    }
    Ok(steps)
}

fn refuse<T>(pointer: &str, message: &str) -> Result<T, Problem> {
    Err(Problem::field(Code::InvalidBody, pointer, message))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("Idempotency-Key") else {
        return Ok(None);
    };
    let fits = value.to_str().ok().filter(|key| (1..=256).contains(&key.len()));
    fits.map(Some).ok_or_else(|| {
        Problem::field(
            Code::InvalidHeader,
            "Idempotency-Key",
            "1 to 256 printable ASCII characters",
        )
    })
}

/// Fetches the roles of everybody who could approve a step, besides who asks and who makes the request for him.
async fn fetch_people(tx: &mut Scoped, steps: &[Step], own: &[String]) -> sqlx::Result<Vec<Vec<Role>>> {
    let wanted: Vec<&'static str> = Role::ALL
        .into_iter()
        .filter(|role| steps.iter().any(|step| step.admits(&[*role])))
        .map(Role::name)
        .collect();
    let mut people: BTreeMap<String, Vec<Role>> = BTreeMap::new();
    for assignment in roles::fetch_holders(tx, &wanted).await? {
        people
            .entry(assignment.principal)
            .or_default()
            .push(assignment.holding.role);
    }
    Ok(people
        .into_iter()
        .filter(|(who, _)| !own.contains(who))
        .map(|(_, roles)| roles)
        .collect())
}

/// Refuses steps that the people can never satisfy.
fn require_satisfiable(steps: &[Step], people: &[Vec<Role>]) -> Result<(), Problem> {
    if rules::is_satisfiable(steps, people) {
        return Ok(());
    }
    let detail = format!(
        "{} people besides you hold one of the roles, which is not enough for different people in every step; grant roles first",
        people.len()
    );
    Err(Problem::field(Code::Unsatisfiable, "/steps", detail))
}
