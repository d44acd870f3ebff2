//! Conditions: how a list becomes the next one.

use aeterna_crds::v1alpha1::{ConditionType, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A reason and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The reason.
    pub reason: Reason,
    /// What was seen, and what to do about it.
    pub message: String,
}

impl Because {
    /// Makes one.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Holds {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A list of conditions in the making.
#[derive(Debug)]
pub struct Conditions<'a> {
    old: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    new: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Begins with the list in status; all new ones are about `generation`.
    #[must_use]
    pub fn after(old: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            old,
            generation,
            now,
            new: Vec::new(),
        }
    }

    /// Sets a condition; its transition time stays while its status does.
    pub fn set(&mut self, kind: ConditionType, holds: Holds, because: &Because) {
        let status = holds.as_str();
        let same = self
            .old
            .iter()
            .find(|old| old.type_ == kind.as_str() && old.status == status);
        self.new.push(Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: because.reason.as_str().to_owned(),
            message: because.message.clone(),
            observed_generation: self.generation,
            last_transition_time: same.map_or(Time(self.now), |old| old.last_transition_time.clone()),
        });
    }

    /// Sets Ready, Reconciling and Stalled, in the order that kstatus reads them: a stalled object is not reconciling.
    pub fn set_outcome(&mut self, ready: bool, because: &Because) {
        let stalled = !ready && because.reason.is_stalling();
        self.set(ConditionType::Ready, ready.into(), because);
        self.set(ConditionType::Reconciling, (!ready && !stalled).into(), because);
        self.set(ConditionType::Stalled, stalled.into(), because);
    }

    /// Takes the conditions of the old list that were not set anew, for a pass that could not look at them.
    pub fn keep_others(&mut self) {
        let set = |kind: &str, new: &[Condition]| new.iter().any(|condition| condition.type_ == kind);
        let others: Vec<Condition> = self
            .old
            .iter()
            .filter(|old| !set(&old.type_, &self.new))
            .cloned()
            .collect();
        self.new.extend(others);
    }

    /// Returns the list.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        self.new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aeterna_crds::v1alpha1::find_condition;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn outcome(old: &[Condition], ready: bool, reason: Reason, second: i64) -> Vec<Condition> {
        let mut conditions = Conditions::after(old, Some(3), at(second));
        conditions.set_outcome(ready, &Because::new(reason, "why"));
        conditions.finish()
    }

    #[test]
    fn a_transition_time_changes_with_the_status_and_not_with_the_reason() {
        let first = outcome(&[], false, Reason::RollingOut, 10);
        let second = outcome(&first, false, Reason::Migrating, 20);
        let third = outcome(&second, true, Reason::AsWanted, 30);
        let time = |list: &[Condition]| find_condition(list, ConditionType::Ready).map(|c| c.last_transition_time.0);
        assert_eq!(time(&second), Some(at(10)));
        assert_eq!(time(&third), Some(at(30)));
    }

    #[test]
    fn a_pass_that_could_not_look_keeps_what_it_did_not_see() {
        let mut first = Conditions::after(&[], Some(3), at(10));
        first.set_outcome(true, &Because::new(Reason::AsWanted, "fine"));
        first.set(
            ConditionType::DatabaseReady,
            Holds::True,
            &Because::new(Reason::AsWanted, "fine"),
        );
        let first = first.finish();
        let mut late = Conditions::after(&first, Some(3), at(20));
        late.set_outcome(false, &Because::new(Reason::PassTooLong, "late"));
        late.keep_others();
        let late = late.finish();
        assert_eq!(late.len(), first.len());
        let status = |kind| find_condition(&late, kind).map(|c| (c.status.clone(), c.reason.clone()));
        let is = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
        assert_eq!(status(ConditionType::Ready), is("False", "PassTooLong"));
        assert_eq!(status(ConditionType::DatabaseReady), is("True", "AsWanted"));
    }

    #[test]
    fn what_needs_help_is_stalled_and_not_reconciling() {
        let status = |list: &[Condition], kind| find_condition(list, kind).map(|c| c.status.clone());
        let stalled = outcome(&[], false, Reason::SecretMissing, 1);
        assert_eq!(status(&stalled, ConditionType::Stalled).as_deref(), Some("True"));
        assert_eq!(status(&stalled, ConditionType::Reconciling).as_deref(), Some("False"));
        let waiting = outcome(&[], false, Reason::DatabaseUnreachable, 1);
        assert_eq!(status(&waiting, ConditionType::Stalled).as_deref(), Some("False"));
        assert_eq!(status(&waiting, ConditionType::Reconciling).as_deref(), Some("True"));
    }
}
