//! `POST /api/v1/policies/evaluate`: a decision (AuthZEN access evaluation).

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State as Shared;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::Problem;

use super::evaluation::{Answer, Evaluation};
use crate::admission::Admitted;
use crate::engine::Compiled;
use crate::origin::Origin;
use crate::rbac::holding::Holding;
use crate::rbac::{Action, Role, action};
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::roles::{self, Assignment, Standing};

/// What the caller must be allowed to do, and to what.
const ACTION: Action = action::POLICY_EVALUATE;
const ANY: &str = "any";

/// Decides whether a subject may do something to a resource, by the tenant's active policies and the roles' own rights.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/policies/evaluate", tag = "policies", request_body = Evaluation,
    responses(
        (status = 200, description = "Yes or no, and why", body = Answer),
        (status = 403, description = "The caller may not ask"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away: nothing is allowed meanwhile; see Retry-After"),
    )
)]
pub async fn evaluate(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Json(asked): Json<Evaluation>,
) -> Result<Body<Answer>, Problem> {
    let (mut question, said) = (asked.read("")?, asked.roles("")?);
    let (known, set) = look(&state, &caller, origin, &question.principal.id).await?;
    question.principal.roles = settle_roles(&known, said);
    let decision = set.decide(&question, clock::now());
    // The decision log: too many for the chain, which holds refusals of this service itself and all changes.
    tracing::info!(
        target: "decision", id = %decision.id, tenant = %caller.scope.tenant(), subject = question.principal.id,
        action = question.action, resource = question.resource.id, allowed = decision.allowed,
        determining = decision.determining.join(","), set = set.hash(), "decided"
    );
    Ok(Body(Answer::of(decision, set.hash())))
}

/// Lets the caller in, and returns what is remembered of whom he asks about, with the tenant's policies. In one statement
/// where that is all there is to do.
async fn look(
    state: &State,
    caller: &Caller,
    origin: Origin,
    about: &str,
) -> Result<(Vec<Assignment>, Arc<Compiled>), Problem> {
    let standing = Standing::fetch(&state.pool, &caller.scope, &[&caller.subject, about]).await;
    let standing = standing.or_problem()?;
    if Admitted::is_plain(caller, standing.of(&caller.subject), ACTION, ANY)
        && let Some(set) = state.sets.known(caller.scope.tenant().as_str(), standing.version)
    {
        return Ok((standing.of(about).cloned().collect(), set));
    }
    let mut desk = Admitted::open(state, caller, origin, ACTION, ANY).await?;
    // What was remembered of the caller on the way in counts as well.
    let known = roles::fetch(&mut desk.tx, &[about.to_owned()]).await.or_problem()?;
    let set = state.sets.current(&mut desk.tx).await?;
    desk.close().await?;
    Ok((known, set))
}

/// The roles that count: of those that the question says, or of those that are remembered here if it says nothing of roles.
fn settle_roles(known: &[Assignment], said: Option<Vec<Role>>) -> Vec<Role> {
    let known: Vec<Holding> = known.iter().map(|assignment| assignment.holding).collect();
    let with = |revoked: bool| known.iter().filter(move |holding| holding.revoked == revoked);
    match said {
        Some(said) => said
            .into_iter()
            .filter(|role| with(true).all(|holding| holding.role != *role))
            .collect(),
        None => with(false).map(|holding| holding.role).collect(),
    }
}
