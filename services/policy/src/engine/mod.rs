//! The decision engine: a question and the candidate policies in, yes or no and why out. No IO.
//!
//! A [`Slice`] holds the policies that may speak about one action in one place of the organisation; deciding takes time
//! in proportion to them. [`builtin`] are the roles' own rights, [`Compiled`] a tenant's policies beside them.
//! No is the answer to everything that no policy permits, that one forbids, that the schema does not know, and to
//! everything about which a policy fails: nothing is allowed by an error.

pub(crate) mod attributes;
pub mod builtin;
pub mod compiled;
mod question;

use std::collections::HashMap;
use std::sync::OnceLock;

use cedar_policy::{ActionConstraint, Authorizer, Policy, PolicySet};
use serde_json::json;
use uuid::Uuid;

pub use compiled::{Active, Compiled, InForce};
pub use question::{Principal, Question, Resource, Scope, Unanswerable};

/// The policies that may speak about one action.
#[derive(Debug, Default)]
pub struct Slice {
    policies: PolicySet,
    candidates: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its id, for logs and the audit.
    pub id: Uuid,
    /// Yes or no.
    pub allowed: bool,
    /// The policies that made it so: those that forbid, else those that permit.
    pub determining: Vec<String>,
    /// Why not, where no policy says it.
    pub reason: Option<String>,
    /// The policies looked at.
    pub candidates: usize,
}

impl Slice {
    /// Makes a slice of policies with distinct ids; one whose id is taken is left out.
    #[must_use]
    pub fn of(policies: impl IntoIterator<Item = Policy>) -> Self {
        let mut slice = Self::default();
        for policy in policies {
            if slice.policies.add(policy).is_ok() {
                slice.candidates += 1;
            }
        }
        slice
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        let id = Uuid::now_v7();
        let refused = |reason: String| Decision {
            id,
            allowed: false,
            determining: Vec::new(),
            reason: Some(reason),
            candidates: self.candidates,
        };
        let (request, entities) = match question.pose(builtin::schema()) {
            Ok(posed) => posed,
            Err(Unanswerable(why)) => return refused(why),
        };
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let diagnostics = response.diagnostics();
        if let Some(error) = diagnostics.errors().next() {
            return refused(format!("a policy failed: {error}"));
        }
        let mut determining: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
        determining.sort();
        let allowed = response.decision() == cedar_policy::Decision::Allow;
        let reason = (!allowed && determining.is_empty()).then(|| "no policy permits it".to_owned());
        Decision {
            id,
            allowed,
            determining,
            reason,
            candidates: self.candidates,
        }
    }
}

/// Tells whether a policy may speak about an action.
#[must_use]
pub fn is_about(policy: &Policy, action: &str) -> bool {
    covers(&policy.action_constraint(), action)
}

fn covers(actions: &ActionConstraint, action: &str) -> bool {
    match actions {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid.id().unescaped() == action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| uid.id().unescaped() == action),
    }
}

/// A policy, apart from the actions that it speaks about. A slice is of one action, so whether it is that one is settled when
/// the slice is made, and not asked again of each policy in each decision: that would be a quarter of its time.
#[derive(Debug)]
pub(crate) struct Statement {
    actions: ActionConstraint,
    policy: Policy,
}

impl Statement {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            actions: policy.action_constraint(),
            // One that cannot be written otherwise stays as it is, and is asked.
            policy: of_any_action(policy).unwrap_or_else(|| policy.clone()),
        }
    }

    /// Returns the policies of a slice.
    pub(crate) fn about<'a>(statements: impl Iterator<Item = &'a Self>, action: &str) -> impl Iterator<Item = Policy> {
        statements
            .filter(move |statement| covers(&statement.actions, action))
            .map(|statement| statement.policy.clone())
    }
}

/// Returns a policy as if it spoke about every action.
fn of_any_action(policy: &Policy) -> Option<Policy> {
    let mut form = policy.to_json().ok()?;
    *form.get_mut("action")? = json!({"op": "All"});
    Policy::from_json(Some(policy.id().clone()), form).ok()
}

static BUILTIN: OnceLock<HashMap<&'static str, Slice>> = OnceLock::new();

/// Decides by the built-in policies alone: who may use this service's own endpoints. A tenant's policies have no say in
/// it, so nobody locks himself out of the place where they are changed.
#[must_use]
pub fn decide_builtin(question: &Question) -> Decision {
    let slices = BUILTIN.get_or_init(|| {
        let about = |name: &str| Slice::of(Statement::about(builtin::statements().iter(), name));
        crate::rbac::action::ALL
            .iter()
            .map(|action| (action.name, about(action.name)))
            .collect()
    });
    match slices.get(question.action.as_str()) {
        Some(slice) => slice.decide(question),
        None => Slice::default().decide(question),
    }
}
