//! The way into every endpoint: a transaction in the caller's tenant, and a decision in it.
//!
//! Nothing else opens a transaction for a request, so no endpoint can forget to ask. A refusal is written to the audit
//! log before the caller hears of it; a request that was let in tells the log what it did with [`Admitted::note`], in the
//! transaction in which it did it.

use serde_json::{Map, Value};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};

use crate::audit::{Actor, Event, Outcome};
use crate::engine::{Principal, Question, Resource, decide_builtin};
use crate::origin::Origin;
use crate::rbac::holding::{Holding, settle};
use crate::rbac::{Action, Role};
use crate::state::State;
use crate::store::{self, OrProblem as _, Scoped};

/// A caller who was let in, and the transaction in which.
#[derive(Debug)]
pub struct Admitted {
    /// The transaction.
    pub tx: Scoped,
    /// Who it is.
    pub principal: Principal,
    actor: Actor,
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
        let mut tx = Scoped::open(&state.pool, &caller.scope).await.or_problem()?;
        let principal = identify(&mut tx, caller).await.or_problem()?;
        let this = Self {
            tx,
            actor: describe(&principal, origin),
            principal,
            decision_id: Uuid::nil(),
        };
        this.require(action, id).await
    }

    /// Asks for one more action, for what only the row can tell.
    ///
    /// # Errors
    /// Those of [`Admitted::open`].
    pub async fn require(mut self, action: Action, id: &str) -> Result<Self, Problem> {
        let decision = decide_builtin(&Question {
            principal: self.principal.clone(),
            action: action.name.to_owned(),
            resource: Resource {
                kind: action.resource.to_owned(),
                id: id.to_owned(),
                ..Resource::default()
            },
            context: Map::new(),
        });
        self.decision_id = decision.id;
        if decision.allowed {
            return Ok(self);
        }
        let why = decision.reason.unwrap_or_else(|| decision.determining.join(", "));
        let details = Map::from_iter([("reason".to_owned(), Value::String(why.clone()))]);
        self.tell(action.name, (action.resource, id), Outcome::Deny, details)
            .await?;
        self.close().await?;
        let detail = format!("{} is not allowed: {why} (decision {})", action.name, decision.id);
        Err(Problem::new(Code::Forbidden, detail))
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

/// Who the caller is, with the roles that count: the token's and those granted here, without those revoked here.
async fn identify(tx: &mut Scoped, caller: &Caller) -> sqlx::Result<Principal> {
    let token: Vec<Role> = caller.roles.iter().filter_map(|name| Role::parse(name)).collect();
    let principal = Principal {
        id: caller.subject.clone(),
        on_behalf_of: caller.on_behalf_of.clone(),
        roles: token.clone(),
        ..Principal::default()
    };
    let known = store::roles::fetch(tx, std::slice::from_ref(&caller.subject)).await?;
    let known: Vec<Holding> = known.into_iter().map(|assignment| assignment.holding).collect();
    let settled = settle(&token, &known);
    // What an agent holds is not remembered: it never approves, so nobody asks for it when it is not there.
    if !principal.is_agent() {
        store::roles::remember(tx, &caller.subject, &settled).await?;
    }
    Ok(Principal {
        roles: settled.roles,
        ..principal
    })
}

fn describe(principal: &Principal, origin: Origin) -> Actor {
    Actor {
        kind: if principal.is_agent() { "agent" } else { "user" },
        id: principal.id.clone(),
        on_behalf_of: principal.on_behalf_of.clone(),
        roles: principal.roles.iter().map(ToString::to_string).collect(),
        request_id: origin.request_id,
        via: origin.via,
        user_agent: origin.user_agent,
    }
}
