//! The state machine of a request.
//!
//! `pending` becomes `approved`, `rejected`, `expired`, `withdrawn` or `cancelled`; `approved` becomes `applied`. Nothing
//! else happens: what has ended stays ended, expiry never approves, and a request is applied once.
//!
//! Steps are served in order. Which step is the current one is not stored but counted, from the votes that are good at that
//! moment: of humans who hold one of the step's roles now, who neither asked for it nor made it for somebody, and who saw this
//! revision of the payload. So a revoked approver takes his vote with him, and a changed payload all of them, also when it is changed
//! back. People are named by the human behind them; an agent is its principal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rbac::Role;

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ApprovalStatus)]
pub enum Status {
    /// It waits for votes.
    Pending,
    /// It may be applied.
    Approved,
    /// Somebody was against it.
    Rejected,
    /// Its time was over first.
    Expired,
    /// Who asked for it took it back.
    Withdrawn,
    /// An administrator ended it.
    Cancelled,
    /// It was done.
    Applied,
}

/// What a voter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// For it.
    Approve,
    /// Against it: that ends it.
    Reject,
    /// Neither; counts for nothing.
    Abstain,
}

/// A step: so many different people who hold one of the roles, or a higher one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// How many, 1 to 10.
    pub required: u32,
    /// Which roles, 1 to 8.
    pub roles: Vec<Role>,
}

impl Step {
    /// Tells whether somebody with these roles may vote in it.
    #[must_use]
    pub fn admits(&self, roles: &[Role]) -> bool {
        self.roles
            .iter()
            .any(|wanted| roles.iter().any(|held| held.includes(*wanted)))
    }
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// The human who gave it.
    pub by: String,
    /// The step that it was given in.
    pub step: usize,
    /// What it says.
    pub verdict: Verdict,
    /// The payload that it was given to.
    pub payload: Revision,
}

/// A payload in the life of a request. One that comes back is another revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub number: i32,
    /// The hash of the payload.
    pub hash: String,
}

/// A request as far as its fate depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What has become of it.
    pub status: Status,
    /// The human who asked for it.
    pub requester: String,
    /// The subject that made it: the human, or who acted for him. It may act for itself another time.
    pub requested_by: String,
    /// Its steps.
    pub steps: Vec<Step>,
    /// The votes, those for earlier payloads as well.
    pub votes: Vec<Vote>,
    /// Its payload.
    pub payload: Revision,
    /// When its time is over.
    pub expires_at: Timestamp,
}

/// What somebody wants to do with it. `by` is the human behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Vote. With the hash of the payload that was looked at, if the voter says it.
    Decide {
        /// Who.
        by: String,
        /// What.
        verdict: Verdict,
        /// On which payload.
        payload_hash: Option<String>,
    },
    /// Take it back.
    Withdraw {
        /// Who.
        by: String,
    },
    /// End it, as an administrator.
    Cancel,
    /// Notice that its time is over.
    Expire,
    /// Replace its payload.
    Amend {
        /// Who.
        by: String,
        /// The new one.
        payload_hash: String,
    },
    /// Approve it without a quorum.
    BreakGlass {
        /// Who.
        by: String,
    },
    /// Do it.
    Apply {
        /// The payload that is applied.
        payload_hash: String,
    },
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The status from now on.
    pub status: Status,
    /// A vote to add.
    pub vote: Option<Vote>,
    /// A payload to put in the place of the old one.
    pub payload: Option<Revision>,
}

/// Why nothing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has ended.
    #[error("the request is no longer pending")]
    NotPending,
    /// Its time is over.
    #[error("the request has expired")]
    Expired,
    /// It is the caller's own.
    #[error("nobody decides on a request of his own, nor through an agent")]
    SelfApproval,
    /// The caller may not vote in this step.
    #[error("the caller holds none of the current step's roles")]
    NotEligible,
    /// The caller has voted.
    #[error("the caller has decided before")]
    AlreadyDecided,
    /// The payload is another.
    #[error("the payload is another than the one that was looked at")]
    PayloadChanged,
    /// It is somebody else's.
    #[error("only who asked for it may do this")]
    NotRequester,
    /// It is not approved.
    #[error("the request is not approved")]
    NotApproved,
    /// It was done.
    #[error("the request was applied before")]
    AlreadyApplied,
}

/// Tells which roles a human holds now.
pub type Roles<'a> = &'a dyn Fn(&str) -> Vec<Role>;

impl Request {
    /// Says what follows from a command.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changes then.
    pub fn react(&self, command: &Command, roles: Roles<'_>, now: Timestamp) -> Result<Change, Refusal> {
        match command {
            Command::Decide {
                by,
                verdict,
                payload_hash,
            } => self.decide(by, *verdict, payload_hash.as_deref(), roles, now),
            Command::Withdraw { by } => {
                self.require_pending(now)?;
                self.require_requester(by)?;
                Ok(to(Status::Withdrawn))
            }
            Command::Cancel => {
                self.require_pending(now)?;
                Ok(to(Status::Cancelled))
            }
            Command::Expire if self.status == Status::Pending && now >= self.expires_at => Ok(to(Status::Expired)),
            Command::Expire => Err(Refusal::NotPending),
            Command::Amend { by, payload_hash } => {
                self.require_pending(now)?;
                self.require_requester(by)?;
                let payload = Revision {
                    number: self.payload.number.saturating_add(1),
                    hash: payload_hash.clone(),
                };
                Ok(Change {
                    payload: Some(payload),
                    ..to(Status::Pending)
                })
            }
            Command::BreakGlass { by } => {
                self.require_pending(now)?;
                if self.is_own(by) {
                    return Err(Refusal::SelfApproval);
                }
                Ok(to(Status::Approved))
            }
            Command::Apply { payload_hash } => match self.status {
                Status::Applied => Err(Refusal::AlreadyApplied),
                Status::Approved if *payload_hash != self.payload.hash => Err(Refusal::PayloadChanged),
                Status::Approved => Ok(to(Status::Applied)),
                Status::Pending | Status::Rejected | Status::Expired | Status::Withdrawn | Status::Cancelled => {
                    Err(Refusal::NotApproved)
                }
            },
        }
    }

    fn decide(
        &self,
        by: &str,
        verdict: Verdict,
        seen: Option<&str>,
        roles: Roles<'_>,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        self.require_pending(now)?;
        if self.is_own(by) {
            return Err(Refusal::SelfApproval);
        }
        if seen.is_some_and(|seen| seen != self.payload.hash) {
            return Err(Refusal::PayloadChanged);
        }
        if self
            .votes
            .iter()
            .any(|vote| vote.by == by && vote.payload == self.payload)
        {
            return Err(Refusal::AlreadyDecided);
        }
        let step = self.current_step(roles).unwrap_or(0);
        if !self.steps.get(step).is_some_and(|step| step.admits(&roles(by))) {
            return Err(Refusal::NotEligible);
        }
        let vote = Vote {
            by: by.to_owned(),
            step,
            verdict,
            payload: self.payload.clone(),
        };
        let mut after = self.clone();
        after.votes.push(vote.clone());
        let status = match verdict {
            Verdict::Reject => Status::Rejected,
            // All steps are counted again, with the roles that their voters hold now.
            Verdict::Approve if after.current_step(roles).is_none() => Status::Approved,
            Verdict::Approve | Verdict::Abstain => Status::Pending,
        };
        Ok(Change {
            vote: Some(vote),
            ..to(status)
        })
    }

    /// Returns the first step without its quorum; none when all have theirs.
    #[must_use]
    pub fn current_step(&self, roles: Roles<'_>) -> Option<usize> {
        (0..self.steps.len()).find(|n| {
            let required = self.steps.get(*n).map_or(0, |step| step.required);
            u32::try_from(self.count(*n, roles)).unwrap_or(u32::MAX) < required
        })
    }

    /// Counts the votes for it that are good now in a step.
    #[must_use]
    pub fn count(&self, n: usize, roles: Roles<'_>) -> usize {
        let is_good = |vote: &&Vote| {
            vote.step == n
                && vote.verdict == Verdict::Approve
                && vote.payload == self.payload
                && !self.is_own(&vote.by)
                && self.steps.get(n).is_some_and(|step| step.admits(&roles(&vote.by)))
        };
        let mut voters: Vec<&str> = self.votes.iter().filter(is_good).map(|vote| vote.by.as_str()).collect();
        voters.sort_unstable();
        voters.dedup();
        voters.len()
    }

    fn require_pending(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status {
            Status::Pending if now < self.expires_at => Ok(()),
            Status::Pending | Status::Expired => Err(Refusal::Expired),
            Status::Approved | Status::Rejected | Status::Withdrawn | Status::Cancelled | Status::Applied => {
                Err(Refusal::NotPending)
            }
        }
    }

    /// Tells whether somebody has a part in having asked for it.
    fn is_own(&self, by: &str) -> bool {
        by == self.requester || by == self.requested_by
    }

    fn require_requester(&self, by: &str) -> Result<(), Refusal> {
        if by == self.requester {
            Ok(())
        } else {
            Err(Refusal::NotRequester)
        }
    }
}

fn to(status: Status) -> Change {
    Change {
        status,
        vote: None,
        payload: None,
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
