//! Decides further within one request, by the policies that let it pass.
//!
//! A route says what it is about before its handler runs; what a list, a search or an archive holds, only the handler knows.
//! So it asks again, in process and of the same snapshot. Where nothing guards, or no policies are known, all is allowed: the
//! service's own rules decide alone, as they do at the door.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::{Map, Value};

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_kit::problem::{Code, Problem};

use super::identify;
use super::route::About;
use crate::engine::{Decision, Principal, Question};
use crate::rbac::Role;
use crate::snapshot::Held;

/// Decides about the things of one request; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Judge(Option<Arc<Bench>>);

/// By what it decides, and about whom.
#[derive(Debug)]
struct Bench {
    held: Arc<Held>,
    tenant: TenantId,
    principal: Principal,
    context: Map<String, Value>,
}

impl Judge {
    pub(super) fn new(held: Arc<Held>, caller: &Caller, headers: &HeaderMap) -> Self {
        let (tenant, principal) = (caller.scope.tenant().clone(), identify(&held, caller));
        let context = circumstances(headers);
        Self(Some(Arc::new(Bench {
            held,
            tenant,
            principal,
            context,
        })))
    }

    /// Tells whether the caller may do this. Nothing is counted and nothing logged: a list asks once for each entry.
    #[must_use]
    pub fn allows(&self, about: About) -> bool {
        self.0.as_ref().is_none_or(|bench| bench.decide(about).1.allowed)
    }

    /// Lets the caller do this, or says why not.
    ///
    /// # Errors
    /// [`Code::Forbidden`].
    pub fn check(&self, about: About) -> Result<(), Problem> {
        self.0.as_ref().map_or(Ok(()), |bench| bench.check(about))
    }

    /// Tells whether policies of the tenant's own may hide some things from the caller and show others.
    #[must_use]
    pub fn is_selective(&self) -> bool {
        let has_text = |bench: &Arc<Bench>| {
            let mut policies = bench.held.set.policies().iter();
            policies.any(|policy| policy.document.cedar.is_some())
        };
        self.0.as_ref().is_some_and(has_text)
    }

    /// Gives a caller the roles that count: the token's and those granted, without those taken away.
    #[must_use]
    pub fn settle(&self, mut caller: Caller) -> Caller {
        if let Some(bench) = &self.0 {
            let roles = bench.principal.roles.iter();
            caller.roles = roles.copied().map(Role::name).map(str::to_owned).collect();
        }
        caller
    }
}

impl Bench {
    fn decide(&self, about: About) -> (Question, Decision) {
        let question = Question {
            principal: self.principal.clone(),
            action: about.action.name.to_owned(),
            resource: about.resource,
            context: self.context.clone(),
        };
        let decision = self.held.set.decide(&question, clock::now());
        (question, decision)
    }

    fn check(&self, about: About) -> Result<(), Problem> {
        let (question, decision) = self.decide(about);
        if decision.allowed {
            return Ok(());
        }
        let action = question.action;
        tracing::info!(
            target: "decision", id = %decision.id, tenant = %self.tenant, subject = self.principal.id, action,
            resource = question.resource.id, allowed = false, determining = decision.determining.join(","),
            set = self.held.set.hash(), "decided"
        );
        let why = decision
            .reason
            .unwrap_or_else(|| self.held.set.tell(&decision.determining));
        let detail = format!("{action} is not allowed: {why} (decision {})", decision.id);
        Err(Problem::new(Code::Forbidden, detail))
    }
}

fn circumstances(headers: &HeaderMap) -> Map<String, Value> {
    let mut known = Map::from_iter([("time".to_owned(), Value::String(clock::now().to_string()))]);
    let via = headers
        .get("x-aeterna-client-kind")
        .and_then(|value| value.to_str().ok());
    if let Some(via) = via.filter(|kind| ["cli", "ui", "api"].contains(kind)) {
        known.insert("via".to_owned(), Value::String(via.to_owned()));
    }
    known
}

impl<S: Send + Sync> FromRequestParts<S> for Judge {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
