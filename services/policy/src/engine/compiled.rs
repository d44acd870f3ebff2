//! A tenant's policies, compiled: who may do what with the built-in ones beside them, and which rules hold where.
//!
//! Which policies count depends on the place in the organisation, the action and the time. For each of these that was
//! asked about, the slice is made once; time enters as the number of `effectiveFrom` and `effectiveUntil` that have
//! passed. Callers say the action and the place, so neither is remembered as they say it: an action that the schema does
//! not know has no slice, and of a place only those ids count that a policy names. The set itself is good as long as the
//! tenant's set version has not changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use aeterna_kit::hex::hex;

use super::{Decision, Question, Scope, Slice, Statement, builtin};
use crate::canonical;
use crate::policy::constraint::{Finding, Patterns, Rule, Subject};
use crate::policy::merge::{Part, merge};
use crate::policy::{Document, cedar};
use crate::rbac::action;

/// Policies in all slices that are remembered; beyond, all are made anew. A slice has the four of the roles at least.
const REMEMBERED: usize = 50_000;

/// A version in force of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Active {
    /// The policy.
    pub id: Uuid,
    /// Its version.
    pub version: i32,
    /// What it says.
    pub document: Document,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    action: &'static str,
    place: Scope,
    epoch: usize,
}

#[derive(Debug, Default)]
struct Slices {
    made: HashMap<Key, Arc<Slice>>,
    policies: usize,
}

impl Slices {
    fn remember(&mut self, key: Key, slice: &Arc<Slice>) {
        if self.policies >= REMEMBERED {
            *self = Self::default();
        }
        self.policies += slice.candidates + 1;
        self.made.insert(key, Arc::clone(slice));
    }
}

/// A tenant's policies.
#[derive(Debug)]
pub struct Compiled {
    hash: String,
    policies: Vec<Active>,
    statements: Vec<Vec<Statement>>,
    /// The patterns of each rule of each policy, compiled when something is held against the rule for the first time: the
    /// guards hold nothing against rules.
    patterns: Vec<Vec<OnceLock<Patterns>>>,
    boundaries: Vec<Timestamp>,
    /// The ids that some policy names: of organisations, teams and projects.
    named: [BTreeSet<String>; 3],
    slices: RwLock<Slices>,
}

/// Returns the hash of a set of policies: equal sets, equal hashes, in any order.
#[must_use]
pub fn hash(policies: &[Active]) -> String {
    let mut text: Vec<_> = policies
        .iter()
        .map(|policy| (policy.id, policy.version, policy.document.hash()))
        .collect();
    text.sort();
    hex(&Sha256::digest(canonical::write(&json!(text))))
}

/// A rule in force and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct InForce<'a> {
    /// The policy.
    pub policy: &'a Active,
    /// The rule.
    pub rule: &'a Rule,
    patterns: &'a OnceLock<Patterns>,
}

impl InForce<'_> {
    /// Holds a subject against the rule.
    #[must_use]
    pub fn judge(&self, subject: &Subject) -> Finding {
        let patterns = self.patterns.get_or_init(|| self.rule.compile());
        self.rule.judge(patterns, subject)
    }
}

impl Compiled {
    /// Compiles policies; their order does not matter.
    #[must_use]
    pub fn build(mut policies: Vec<Active>) -> Self {
        policies.sort_by_key(|policy| policy.id);
        let statements = policies
            .iter()
            .map(|policy| {
                let text = policy.document.cedar.as_deref();
                let parsed = text.map_or_else(Vec::new, |text| cedar::statements(policy.id, policy.version, text));
                parsed.iter().map(Statement::of).collect()
            })
            .collect();
        let unused = |policy: &Active| policy.document.rules.iter().map(|_| OnceLock::new()).collect();
        let patterns = policies.iter().map(unused).collect();
        let ends = |policy: &Active| [policy.document.effective_from, policy.document.effective_until];
        let mut boundaries: Vec<Timestamp> = policies.iter().flat_map(ends).flatten().collect();
        boundaries.sort_unstable();
        let scopes = || policies.iter().map(|policy| &policy.document.scope);
        let named = [
            scopes().filter_map(|scope| scope.org_id.clone()).collect(),
            scopes().filter_map(|scope| scope.team_id.clone()).collect(),
            scopes().filter_map(|scope| scope.project_id.clone()).collect(),
        ];
        Self {
            hash: hash(&policies),
            policies,
            statements,
            patterns,
            boundaries,
            named,
            slices: RwLock::default(),
        }
    }

    /// Returns the hash of the whole set.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the policies.
    #[must_use]
    pub fn policies(&self) -> &[Active] {
        &self.policies
    }

    /// Says which policies a decision names, each once: a tenant's own by its name as well, the roles' own by its id.
    #[must_use]
    pub fn tell(&self, determining: &[String]) -> String {
        let named = |statement: &str| {
            let (id, _) = statement.split_once('@')?;
            let id: Uuid = id.parse().ok()?;
            let place = self.policies.binary_search_by_key(&id, |policy| policy.id).ok()?;
            self.policies.get(place)
        };
        let told = determining.iter().map(|statement| match named(statement) {
            Some(policy) => format!("policy {:?} ({}@{})", policy.document.name, policy.id, policy.version),
            None => statement.clone(),
        });
        let mut told: Vec<String> = told.collect();
        // A policy's statements stand beside each other.
        told.dedup();
        told.join(", ")
    }

    /// Decides by the tenant's policies and the built-in ones.
    #[must_use]
    pub fn decide(&self, question: &Question, now: Timestamp) -> Decision {
        let Some(action) = action::find(&question.action) else {
            // The schema says what is wrong with it.
            return Slice::default().decide(question);
        };
        let key = Key {
            action: action.name,
            place: self.cut(&question.resource.scope),
            epoch: self.boundaries.partition_point(|boundary| *boundary <= now),
        };
        let slices = self.slices.read().unwrap_or_else(PoisonError::into_inner);
        let known = slices.made.get(&key).cloned();
        drop(slices);
        let slice = known.unwrap_or_else(|| {
            let made = Arc::new(self.slice(&key, now));
            let mut slices = self.slices.write().unwrap_or_else(PoisonError::into_inner);
            slices.remember(key, &made);
            made
        });
        slice.decide(question)
    }

    /// Leaves of a place what makes a difference: the ids that some policy names.
    fn cut(&self, place: &Scope) -> Scope {
        let [orgs, teams, projects] = &self.named;
        let known = |id: &Option<String>, named: &BTreeSet<String>| id.clone().filter(|id| named.contains(id));
        Scope {
            org_id: known(&place.org_id, orgs),
            team_id: known(&place.team_id, teams),
            project_id: known(&place.project_id, projects),
        }
    }

    fn slice(&self, key: &Key, now: Timestamp) -> Slice {
        let own = self.parts(&key.place, now).into_iter().filter(|part| part.rule == 0);
        let statements = own.filter_map(|part| self.statements.get(part.policy)).flatten();
        let all = builtin::statements().iter().chain(statements);
        Slice::of(Statement::about(all, key.action))
    }

    /// Returns the constraint rules that hold at a place.
    #[must_use]
    pub fn rules(&self, place: &Scope, now: Timestamp) -> Vec<InForce<'_>> {
        let in_force = |part: Part| {
            let policy = self.policies.get(part.policy)?;
            let rule = policy.document.rules.get(part.rule)?;
            let patterns = self.patterns.get(part.policy)?.get(part.rule)?;
            Some(InForce { policy, rule, patterns })
        };
        self.parts(place, now).into_iter().filter_map(in_force).collect()
    }

    fn parts(&self, place: &Scope, now: Timestamp) -> Vec<Part> {
        let counts = |policy: &&(usize, &Active)| policy.1.document.is_in_force(now) && policy.1.document.covers(place);
        let counted: Vec<(usize, &Active)> = self.policies.iter().enumerate().collect();
        let counted: Vec<&(usize, &Active)> = counted.iter().filter(counts).collect();
        let documents: Vec<&Document> = counted.iter().map(|(_, policy)| &policy.document).collect();
        let own = |part: Part| {
            let (policy, _) = counted.get(part.policy)?;
            Some(Part {
                policy: *policy,
                rule: part.rule,
            })
        };
        merge(&documents).into_iter().filter_map(own).collect()
    }
}

#[cfg(test)]
#[path = "compiled_tests.rs"]
mod tests;
