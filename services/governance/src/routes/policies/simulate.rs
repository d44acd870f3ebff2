//! `POST /api/v1/policies/simulate`: what a policy would change, before it counts.

use axum::Json as Body;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use super::evaluation::{Answer, Evaluation};
use super::validate::{self, Verdict};
use crate::admission::Admitted;
use crate::beside::beside;
use crate::engine::{Active, Compiled, Question};
use crate::origin::Origin;
use crate::policy::{Document, Status};
use crate::rbac::action;
use crate::state::State;

/// Most questions.
const QUESTIONS: usize = 100;

/// A policy, and what to ask with and without it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SimulateRequest)]
pub struct Request {
    /// The policy, as if it were active.
    pub policy: Document,
    /// The policy that it takes the place of.
    pub replaces: Option<Uuid>,
    /// Questions, at most 100.
    #[serde(default)]
    pub evaluations: Vec<Evaluation>,
    /// Something to hold against the constraints.
    pub check: Option<validate::Request>,
}

/// What would change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// The answers, in the order of the questions.
    pub evaluations: Vec<Pair<Answer>>,
    /// How many answers differ.
    pub changed: usize,
    /// The constraints' verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Pair<Verdict>>,
}

/// Without the policy, and with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pair<T> {
    /// Without.
    pub before: T,
    /// With.
    pub after: T,
}

/// Tells what a policy would change. Nothing is stored.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies/simulate", tag = "policies", request_body = Request,
    responses(
        (status = 200, description = "What would change", body = Simulation),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The policy to replace is not active"),
        (status = 413, description = "The body is larger than 1 MiB, or what is checked is too much for so many rules"),
        (status = 422, description = "A field, a rule or the text does not fit; errors have line and column"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn simulate(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(request): Json<Request>,
) -> Result<Body<Simulation>, Problem> {
    if request.evaluations.len() > QUESTIONS {
        return Err(Problem::field(
            Code::InvalidBody,
            "/evaluations",
            "at most 100 questions",
        ));
    }
    if let Some(check) = &request.check {
        validate::check("/check", check)?;
    }
    let pointed = request.evaluations.iter().enumerate();
    let questions: Vec<_> = pointed
        .map(|(n, asked)| asked.read(&format!("/evaluations/{n}")))
        .collect::<Result<_, _>>()?;
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_SIMULATE, "any").await?;
    let before = state.sets.current(&mut desk.tx).await?;
    desk.close().await?;
    let simulation = beside(move || compare(&before, request, &questions)).await??;
    Ok(Body(simulation))
}

/// Asks with and without the policy. It compiles a whole set, and takes as long.
fn compare(before: &Compiled, request: Request, questions: &[Question]) -> Result<Simulation, Problem> {
    request.policy.check()?;
    let after = with(before, request.policy, request.replaces)?;
    let now = clock::now();
    let evaluations: Vec<Pair<Answer>> = questions
        .iter()
        .map(|question| Pair {
            before: Answer::of(before.decide(question, now), before.hash()),
            after: Answer::of(after.decide(question, now), after.hash()),
        })
        .collect();
    let judge = |check: validate::Request| -> Result<Pair<Verdict>, Problem> {
        Ok(Pair {
            before: validate::judge(before, &check, "/check", now)?,
            after: validate::judge(&after, &check, "/check", now)?,
        })
    };
    let differ = |pair: &&Pair<Answer>| pair.before.decision != pair.after.decision;
    Ok(Simulation {
        changed: evaluations.iter().filter(differ).count(),
        evaluations,
        check: request.check.map(judge).transpose()?,
    })
}

fn with(set: &Compiled, policy: Document, replaces: Option<Uuid>) -> Result<Compiled, Problem> {
    let mut policies = set.policies().to_vec();
    let before = policies.len();
    policies.retain(|policy| Some(policy.id) != replaces);
    if let Some(id) = replaces.filter(|_| policies.len() == before) {
        return Err(super::view::absent(id));
    }
    policies.push(Active {
        id: replaces.unwrap_or_else(Uuid::now_v7),
        version: 0,
        document: Document {
            status: Status::Active,
            ..policy
        },
    });
    Ok(Compiled::build(policies))
}
