//! The way into every endpoint: a transaction in the caller's tenant, and a decision in it.
//!
//! Nothing else opens a transaction for a request, so no endpoint can forget to ask. (`policies/evaluate`, for which others
//! wait with requests of their own, does without one where [`Admitted::is_plain`] says that it would only look.) A refusal is
//! written to the audit log before the caller hears of it; a request that was let in tells the log what it did with
//! [`Admitted::note`], in the transaction in which it did it.

use serde_json::{Map, Value};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};

use crate::audit::{Actor, Event, Outcome};
use crate::engine::{Decision, Principal, Question, Resource, decide_builtin};
use crate::origin::Origin;
use crate::rbac::holding::{Holding, settle};
use crate::rbac::{Action, Role};
use crate::state::State;
use crate::store::roles::Assignment;
use crate::store::{self, OrProblem as _, Scoped};

/// A caller who was let in, and the transaction in which.
#[derive(Debug)]
pub struct Admitted {
    /// The transaction.
    pub tx: Scoped,
    /// Who it is.
    pub principal: Principal,
    actor: Actor,
    /// The roles that the token says.
    token: Vec<Role>,
    /// What was asked for last, and of what.
    asked: (Action, String),
    decision_id: Uuid,
}

impl Admitted {
    /// Lets a caller in, if the built-in policies allow the action.
    ///
    /// # Errors
    /// [`Code::Forbidden`], or [`Code::Unavailable`] when the database is away.
    pub async fn open(
        state: &State,
        caller: &Caller,
        origin: Origin,
        action: Action,
        id: &str,
    ) -> Result<Self, Problem> {
        let resource = Resource {
            id: id.to_owned(),
            ..Resource::default()
        };
        Self::open_about(state, caller, origin, action, resource).await
    }

    /// The same, and tells the policies more of the thing than its id.
    ///
    /// # Errors
    /// Those of [`Admitted::open`].
    pub async fn open_about(
        state: &State,
        caller: &Caller,
        origin: Origin,
        action: Action,
        resource: Resource,
    ) -> Result<Self, Problem> {
        let mut tx = Scoped::open(&state.pool, &caller.scope).await.or_problem()?;
        let token = said(caller);
        let known = fetch_known(&mut tx, &caller.subject).await.or_problem()?;
        let (principal, news) = identify(caller, &token, known.iter());
        if let Some((seen, gone)) = news {
            store::roles::remember(&mut tx, &principal.id, &seen, &gone)
                .await
                .or_problem()?;
            // By itself: who goes on to wait for a request must not hold rows that whoever counts its votes waits for.
            tx.commit().await.or_problem()?;
            tx = Scoped::open(&state.pool, &caller.scope).await.or_problem()?;
        }
        let this = Self {
            tx,
            actor: describe(&principal, origin),
            principal,
            token,
            asked: (action, resource.id.clone()),
            decision_id: Uuid::nil(),
        };
        this.require_about(action, resource).await
    }

    /// Tells whether a caller is let in without further ado, by what is remembered of him: the action is allowed, and there is
    /// nothing to write down. If not, [`Admitted::open`] does what is to be done, and says why not.
    #[must_use]
    pub fn is_plain<'a>(
        caller: &Caller,
        known: impl Iterator<Item = &'a Assignment>,
        action: Action,
        id: &str,
    ) -> bool {
        let (principal, news) = identify(caller, &said(caller), known);
        let resource = Resource {
            id: id.to_owned(),
            ..Resource::default()
        };
        news.is_none() && decide(&principal, action, resource).allowed
    }

    /// Asks for one more action, for what only the row can tell.
    ///
    /// # Errors
    /// Those of [`Admitted::open`].
    pub async fn require(self, action: Action, id: &str) -> Result<Self, Problem> {
        let resource = Resource {
            id: id.to_owned(),
            ..Resource::default()
        };
        self.require_about(action, resource).await
    }

    async fn require_about(mut self, action: Action, resource: Resource) -> Result<Self, Problem> {
        self.asked = (action, resource.id.clone());
        let decision = decide(&self.principal, action, resource);
        self.decision_id = decision.id;
        if decision.allowed {
            return Ok(self);
        }
        let why = decision.reason.unwrap_or_else(|| decision.determining.join(", "));
        let detail = format!("{} is not allowed: {why}", action.name);
        Err(self.refuse(Problem::new(Code::Forbidden, detail)).await)
    }

    /// Refuses who was let in: tells the log, commits that, and says in the problem under which decision. Before anything
    /// has been changed.
    pub async fn refuse(mut self, problem: Problem) -> Problem {
        let (action, id) = self.asked.clone();
        let (code, _, _) = problem.code.parts();
        let details = Map::from_iter([
            ("code".to_owned(), Value::from(code)),
            ("reason".to_owned(), Value::from(problem.detail.clone())),
        ]);
        let decision = self.decision_id;
        let target = (action.resource, id.as_str());
        let told = match self.tell(action.name, target, Outcome::Deny, details).await {
            Ok(()) => self.close().await,
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => Problem {
                detail: format!("{} (decision {decision})", problem.detail),
                ..problem
            },
            Err(error) => error,
        }
    }

    /// Looks again at what the caller holds, after he has waited for a row: what was taken from him meanwhile does not count.
    ///
    /// # Errors
    /// Those of [`Admitted::open`].
    pub async fn look_again(mut self) -> Result<Self, Problem> {
        let known = fetch_known(&mut self.tx, &self.principal.id).await.or_problem()?;
        let roles = settle(&self.token, &holdings(&known.iter().collect::<Vec<_>>())).roles;
        if roles == self.principal.roles {
            return Ok(self);
        }
        self.actor.roles = roles.iter().map(ToString::to_string).collect();
        self.principal.roles = roles;
        let (action, id) = self.asked.clone();
        self.require(action, &id).await
    }

    /// Tells the audit log what is done. Call it last: it holds the tenant's chain until [`Admitted::close`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note(
        &mut self,
        action: &str,
        target: (&'static str, &str),
        details: Map<String, Value>,
    ) -> Result<(), Problem> {
        self.tell(action, target, Outcome::Allow, details).await
    }

    async fn tell(
        &mut self,
        action: &str,
        target: (&'static str, &str),
        outcome: Outcome,
        details: Map<String, Value>,
    ) -> Result<(), Problem> {
        let event = Event {
            actor: self.actor.clone(),
            action: action.to_owned(),
            target: (target.0, target.1.to_owned()),
            outcome,
            decision_id: Some(self.decision_id),
            details,
        };
        store::audit::append(&mut self.tx, &event).await.or_problem()?;
        Ok(())
    }

    /// Commits what was done.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(self) -> Result<(), Problem> {
        self.tx.commit().await.or_problem()
    }
}

fn decide(principal: &Principal, action: Action, resource: Resource) -> Decision {
    decide_builtin(&Question {
        principal: principal.clone(),
        action: action.name.to_owned(),
        resource: Resource {
            kind: action.resource.to_owned(),
            ..resource
        },
        context: Map::new(),
    })
}

/// The roles that a caller's token says.
fn said(caller: &Caller) -> Vec<Role> {
    caller.roles.iter().filter_map(|name| Role::parse(name)).collect()
}

/// Roles to remember of somebody: seen in his token, and gone from it.
type News = (Vec<Role>, Vec<Role>);

/// Who the caller is, with the roles that count: the token's and those granted here, without those revoked here. And what is
/// to be remembered of them, if anything.
fn identify<'a>(
    caller: &Caller,
    token: &[Role],
    known: impl Iterator<Item = &'a Assignment>,
) -> (Principal, Option<News>) {
    let principal = Principal {
        id: caller.subject.clone(),
        on_behalf_of: caller.on_behalf_of.clone(),
        roles: token.to_vec(),
        ..Principal::default()
    };
    let known: Vec<&Assignment> = known.collect();
    let settled = settle(token, &holdings(&known));
    let fading = known.iter().filter(|assignment| assignment.is_fading);
    let again = fading
        .map(|assignment| assignment.holding.role)
        .filter(|role| token.contains(role));
    let seen: Vec<Role> = settled.seen.into_iter().chain(again).collect();
    // What an agent holds is not remembered: it never approves, so nobody asks for it when it is not there.
    let is_known = seen.is_empty() && settled.gone.is_empty();
    let has_news = !principal.is_agent() && !is_known;
    let principal = Principal {
        roles: settled.roles,
        ..principal
    };
    (principal, has_news.then_some((seen, settled.gone)))
}

async fn fetch_known(tx: &mut Scoped, subject: &str) -> sqlx::Result<Vec<Assignment>> {
    store::roles::fetch(tx, &[subject.to_owned()]).await
}

fn holdings(known: &[&Assignment]) -> Vec<Holding> {
    known.iter().map(|assignment| assignment.holding).collect()
}

fn describe(principal: &Principal, origin: Origin) -> Actor {
    Actor {
        kind: if principal.is_agent() { "agent" } else { "user" },
        id: principal.id.clone(),
        on_behalf_of: principal.on_behalf_of.clone(),
        roles: principal.roles.iter().map(ToString::to_string).collect(),
        request_id: origin.request_id,
        via: origin.via.map(|via| via.name().to_owned()),
        user_agent: origin.user_agent,
    }
}
