//! A tenant's policies, compiled: who may do what with the built-in ones beside them, and which rules hold where.
//!
//! Which policies count depends on the place in the organisation, the action and the time. For each of these that was
//! asked about, the slice is made once; time enters as the number of `effectiveFrom` and `effectiveUntil` that have
//! passed. The set itself is good as long as the tenant's set version has not changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Decision, Question, Scope, Slice, builtin, is_about};
use crate::canonical;
use crate::canonical::hex;
use crate::policy::constraint::Rule;
use crate::policy::merge::{Part, merge};
use crate::policy::{Document, cedar};

/// Slices remembered; beyond, all are made anew.
const REMEMBERED: usize = 10_000;

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
    action: String,
    place: Scope,
    epoch: usize,
}

/// A tenant's policies.
#[derive(Debug)]
pub struct Compiled {
    hash: String,
    policies: Vec<Active>,
    statements: Vec<Vec<cedar_policy::Policy>>,
    boundaries: Vec<Timestamp>,
    slices: RwLock<HashMap<Key, Arc<Slice>>>,
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
                text.map_or_else(Vec::new, |text| cedar::statements(policy.id, policy.version, text))
            })
            .collect();
        let ends = |policy: &Active| [policy.document.effective_from, policy.document.effective_until];
        let mut boundaries: Vec<Timestamp> = policies.iter().flat_map(ends).flatten().collect();
        boundaries.sort_unstable();
        Self {
            hash: hash(&policies),
            policies,
            statements,
            boundaries,
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

    /// Decides by the tenant's policies and the built-in ones.
    #[must_use]
    pub fn decide(&self, question: &Question, now: Timestamp) -> Decision {
        let key = Key {
            action: question.action.clone(),
            place: question.resource.scope.clone(),
            epoch: self.boundaries.partition_point(|boundary| *boundary <= now),
        };
        let known = self
            .slices
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        let slice = known.unwrap_or_else(|| {
            let made = Arc::new(self.slice(&key, now));
            let mut slices = self.slices.write().unwrap_or_else(PoisonError::into_inner);
            if slices.len() >= REMEMBERED {
                slices.clear();
            }
            slices.insert(key, Arc::clone(&made));
            made
        });
        slice.decide(question)
    }

    fn slice(&self, key: &Key, now: Timestamp) -> Slice {
        let own = self.parts(&key.place, now).into_iter().filter(|part| part.rule == 0);
        let statements = own.filter_map(|part| self.statements.get(part.policy)).flatten();
        let all = builtin::policies().iter().chain(statements);
        Slice::of(all.filter(|policy| is_about(policy, &key.action)).cloned())
    }

    /// Returns the constraint rules that hold at a place.
    #[must_use]
    pub fn rules(&self, place: &Scope, now: Timestamp) -> Vec<InForce<'_>> {
        let in_force = |part: Part| {
            let policy = self.policies.get(part.policy)?;
            let rule = policy.document.rules.get(part.rule)?;
            Some(InForce { policy, rule })
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
