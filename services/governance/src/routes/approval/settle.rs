//! What every change of a request shares: it is locked, the state machine is asked, and what follows is stored and told.

use std::collections::HashMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

use super::view::{View, details};
use crate::admission::Admitted;
use crate::approval::{Change, Command, Refusal, Status};
use crate::rbac::Role;
use crate::store::approvals::{self, Given, Name, Stored, votes};
use crate::store::{OrProblem as _, Scoped, roles};

/// A locked request, and who holds what at this moment.
#[derive(Debug)]
pub struct Case {
    /// The request.
    pub stored: Stored,
    /// Its votes.
    pub given: Vec<Given>,
    /// The time by the database.
    pub now: Timestamp,
    held: HashMap<String, Vec<Role>>,
}

impl Case {
    /// Locks a request. Who had to wait for it is looked at again: his roles may be others by now.
    ///
    /// # Errors
    /// [`Code::ApprovalNotFound`]; [`Code::Forbidden`] when the caller may not any more.
    pub async fn lock(mut desk: Admitted, name: &Name) -> Result<(Admitted, Self), Problem> {
        let found = approvals::lock(&mut desk.tx, name).await.or_problem()?;
        let mut desk = desk.look_again().await?;
        let this = Self::of(&mut desk, found).await?;
        Ok((desk, this))
    }

    /// The same to count its votes: the roles of the caller and of all who have voted stay as they are seen until the
    /// transaction ends. Who takes one away waits for that, or is waited for; a role does not go between being counted and
    /// what follows from the count.
    ///
    /// The order is the request, roles, the chain of the log. Who changes a role holds no request but where a request grants
    /// it, and that one counts no votes. What a token says is remembered in a transaction of its own ([`Admitted::open`]).
    ///
    /// # Errors
    /// Those of [`Case::lock`].
    pub async fn lock_to_count(mut desk: Admitted, name: &Name) -> Result<(Admitted, Self), Problem> {
        let found = approvals::lock(&mut desk.tx, name).await.or_problem()?;
        let votes = found.iter().flat_map(|(_, given)| given);
        let mut who: Vec<String> = votes.map(|given| given.vote.by.clone()).collect();
        who.push(desk.principal.id.clone());
        roles::hold(&mut desk.tx, &who).await.or_problem()?;
        let mut desk = desk.look_again().await?;
        let this = Self::of(&mut desk, found).await?;
        Ok((desk, this))
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`Code::ApprovalNotFound`].
    pub async fn fetch(desk: &mut Admitted, name: &Name) -> Result<Self, Problem> {
        let found = approvals::fetch(&mut desk.tx, name).await.or_problem()?;
        Self::of(desk, found).await
    }

    async fn of(desk: &mut Admitted, found: Option<(Stored, Vec<Given>)>) -> Result<Self, Problem> {
        let (stored, given) =
            found.ok_or_else(|| Problem::new(Code::ApprovalNotFound, "the tenant has no such approval request"))?;
        let voters: Vec<String> = given.iter().map(|given| given.vote.by.clone()).collect();
        let mut held = fetch_held(&mut desk.tx, &voters).await.or_problem()?;
        // The caller's own roles are settled already: token, grants and revocations.
        held.insert(desk.principal.id.clone(), desk.principal.roles.clone());
        let now = approvals::fetch_now(&mut desk.tx).await.or_problem()?;
        Ok(Self {
            stored,
            given,
            now,
            held,
        })
    }

    /// Asks the state machine; the transaction goes on if something follows. A request whose time is over is marked as such,
    /// whatever was asked, and that stands although the caller is refused. That somebody may not do it is told to the log.
    ///
    /// # Errors
    /// The problem of a [`Refusal`].
    pub async fn react(&self, mut desk: Admitted, command: &Command) -> Result<(Admitted, Change), Problem> {
        let roles = |who: &str| self.roles(who);
        let refusal = match self.stored.core.react(command, &roles, self.now) {
            Ok(change) => return Ok((desk, change)),
            Err(refusal) => refusal,
        };
        if refusal == Refusal::Expired && self.stored.core.status == Status::Pending {
            let over = self.stored.core.react(&Command::Expire, &roles, self.now);
            if let Ok(change) = over {
                approvals::follow(&mut desk.tx, self.stored.id, &change, None)
                    .await
                    .or_problem()?;
                desk.note(
                    "approval.expire",
                    ("Approval", &self.stored.id.to_string()),
                    details(&self.stored, &[]),
                )
                .await?;
                desk.close().await?;
                return Err(problem(refusal));
            }
        }
        let problem = problem(refusal);
        match problem.code.parts() {
            (_, StatusCode::FORBIDDEN, _) => Err(desk.refuse(problem).await),
            _ => Err(problem),
        }
    }

    /// Stores what has followed, and tells the log under a name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn follow(
        &mut self,
        desk: &mut Admitted,
        change: &Change,
        action: &str,
        more: &[(&str, Value)],
    ) -> Result<(), Problem> {
        approvals::follow(&mut desk.tx, self.stored.id, change, None)
            .await
            .or_problem()?;
        self.stored.core.status = change.status;
        let mut more = more.to_vec();
        more.push(("status", json!(change.status)));
        let told = details(&self.stored, &more);
        desk.note(action, ("Approval", &self.stored.id.to_string()), told).await
    }

    /// Stores a vote.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_vote(
        &mut self,
        desk: &mut Admitted,
        change: &Change,
        comment: Option<&str>,
    ) -> Result<(), Problem> {
        let Some(vote) = &change.vote else { return Ok(()) };
        let id = Uuid::now_v7();
        votes::add(&mut desk.tx, self.stored.id, id, vote, comment)
            .await
            .or_problem()?;
        self.stored.core.votes.push(vote.clone());
        self.given.push(Given {
            id,
            vote: vote.clone(),
            comment: comment.map(str::to_owned),
            created_at: self.now,
        });
        Ok(())
    }

    /// Returns the roles that somebody holds now.
    #[must_use]
    pub fn roles(&self, who: &str) -> Vec<Role> {
        self.held.get(who).cloned().unwrap_or_default()
    }

    /// Shows the request.
    #[must_use]
    pub fn view(self) -> View {
        let held = self.held;
        View::of(self.stored, self.given, &|who| {
            held.get(who).cloned().unwrap_or_default()
        })
    }
}

/// Fetches the roles that humans hold now.
///
/// # Errors
/// Those of the database.
pub async fn fetch_held(tx: &mut Scoped, who: &[String]) -> sqlx::Result<HashMap<String, Vec<Role>>> {
    let mut held: HashMap<String, Vec<Role>> = HashMap::new();
    for assignment in roles::fetch(tx, who).await? {
        if !assignment.holding.revoked {
            held.entry(assignment.principal)
                .or_default()
                .push(assignment.holding.role);
        }
    }
    Ok(held)
}

/// The problem of a refusal.
#[must_use]
pub fn problem(refusal: Refusal) -> Problem {
    let code = match refusal {
        Refusal::NotPending => Code::NotPending,
        Refusal::Expired => Code::Expired,
        Refusal::SelfApproval => Code::SelfApproval,
        Refusal::NotEligible => Code::NotEligible,
        Refusal::AlreadyDecided => Code::AlreadyDecided,
        Refusal::PayloadChanged => Code::PayloadChanged,
        Refusal::NotRequester => Code::Forbidden,
        Refusal::NotApproved => Code::NotApproved,
        Refusal::AlreadyApplied => Code::AlreadyApplied,
    };
    Problem::new(code, refusal.to_string())
}
