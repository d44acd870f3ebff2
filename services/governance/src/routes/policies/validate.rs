//! `POST /api/v1/policies/validate`: holds something that is built against the constraints.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use crate::admission::Admitted;
use crate::beside::beside;
use crate::engine::{Compiled, InForce, Scope};
use crate::origin::Origin;
use crate::policy::constraint::{Finding, Severity, Subject, drift_score};
use crate::rbac::action;
use crate::routes::check_scope;
use crate::state::State;

/// Most entries of a list.
const ENTRIES: usize = 10_000;

/// Most work of one check: bytes of the subject times rules. Expressions are matched in linear time, some hundred million
/// bytes a second.
const WORK: usize = 256 << 20;

/// What is held against which constraints.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConstraintCheck)]
pub struct Request {
    /// Where it belongs: the constraints of that place and those above count.
    #[serde(default)]
    pub scope: Scope,
    /// What is checked. Rules about what is not sent are listed as unchecked.
    pub context: Subject,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConstraintVerdict)]
pub struct Verdict {
    /// No violation blocks.
    pub is_valid: bool,
    /// What violates, worst first.
    pub violations: Vec<Violation>,
    /// Rules about what was not sent.
    pub unchecked: Vec<Violation>,
    /// The sum of 1.0 for block, 0.5 for warn and 0.1 for info; 1 at most.
    pub drift_score: f64,
    /// The hash of the policies that it was held against.
    pub policy_set_hash: String,
}

/// A rule that does not hold, or was not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The policy.
    pub policy_id: Uuid,
    /// Its version.
    pub version: i32,
    /// The rule.
    pub rule_id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What the rule says.
    pub message: String,
}

/// Holds something against the constraints in force.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies/validate", tag = "policies", request_body = Request,
    responses(
        (status = 200, description = "What was found", body = Verdict),
        (status = 403, description = "The caller may not"),
        (status = 413, description = "The body is larger than 1 MiB, or too much for so many rules"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn validate(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(request): Json<Request>,
) -> Result<Body<Verdict>, Problem> {
    check("", &request)?;
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_EVALUATE, "any").await?;
    let set = state.sets.current(&mut desk.tx).await?;
    desk.close().await?;
    let verdict = beside(move || judge(&set, &request, "", clock::now())).await??;
    Ok(Body(verdict))
}

/// Refuses lists that are too long, and a place that is none. `at` is the request's pointer in the body.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check(at: &str, request: &Request) -> Result<(), Problem> {
    check_scope(&format!("{at}/scope"), &request.scope)?;
    let subject = &request.context;
    let lists = [
        ("files", &subject.files),
        ("dependencies", &subject.dependencies),
        ("imports", &subject.imports),
    ];
    match lists
        .iter()
        .find(|(_, list)| list.as_ref().is_some_and(|list| list.len() > ENTRIES))
    {
        Some((name, _)) => Err(Problem::field(
            Code::InvalidBody,
            format!("{at}/context/{name}"),
            "at most 10000 entries",
        )),
        None => Ok(()),
    }
}

/// Holds a subject against a set's constraints. It takes as long as the rules and the subject are large: not for the runtime.
/// `at` is the request's pointer in the body.
///
/// # Errors
/// [`Code::PayloadTooLarge`] when it would take too long.
pub fn judge(set: &Compiled, request: &Request, at: &str, now: jiff::Timestamp) -> Result<Verdict, Problem> {
    let subject = &request.context;
    let rules = set.rules(&request.scope, now);
    let sizes = subject.sizes();
    let work = rules
        .iter()
        .map(|it| it.rule.looks_at(&sizes))
        .fold(0, usize::saturating_add);
    if work > WORK {
        let (pointer, count) = (format!("{at}/context"), rules.len());
        let message =
            format!("the {count} rules of this place would look at {work} bytes, {WORK} at most; check less at a time");
        return Err(Problem::field(Code::PayloadTooLarge, pointer, message));
    }
    let (mut violations, mut unchecked) = (Vec::new(), Vec::new());
    for it in rules {
        match it.judge(subject) {
            Finding::Holds => {}
            Finding::Violated => violations.push(describe(it)),
            Finding::Unchecked => unchecked.push(describe(it)),
        }
    }
    for found in [&mut violations, &mut unchecked] {
        found.sort_by_key(|violation| std::cmp::Reverse(violation.severity));
    }
    Ok(Verdict {
        is_valid: violations.iter().all(|violation| violation.severity != Severity::Block),
        drift_score: drift_score(violations.iter().map(|violation| violation.severity)),
        unchecked,
        violations,
        policy_set_hash: set.hash().to_owned(),
    })
}

fn describe(InForce { policy, rule, .. }: InForce<'_>) -> Violation {
    Violation {
        policy_id: policy.id,
        version: policy.version,
        rule_id: rule.id.clone(),
        severity: rule.severity,
        message: rule.message.clone(),
    }
}
