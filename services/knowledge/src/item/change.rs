//! What a write does to an item: the rules of its life in one place.
//!
//! Pure: [`plan`] is given what is there and what is wanted, and says what to store or why not. The store holds the tenant's
//! lock while it asks, so the answer holds until it is carried out.

use super::{Snapshot, Status, Stored};
use crate::access::Rights;

/// What a caller demands of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing may be there: `If-None-Match: *`, or a create.
    Absent,
    /// This version: `If-Match: "7"`.
    Version(i64),
    /// Any live item: `If-Match: *`.
    Present,
    /// Nothing was demanded.
    Unsaid,
}

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new, or made again after its deletion.
    Created,
    /// It says something else.
    Changed,
    /// It says the same, in another status.
    Moved,
    /// Another item took its place.
    Superseded,
    /// It is gone.
    Deleted,
}

impl Action {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: it says this already.
    Keep,
    /// Store it as its next version.
    Store(Action),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is there.
    #[error("there is no such item")]
    Absent,
    /// Another item is there.
    #[error("the path holds other content, at version {version}; PUT with If-Match changes it")]
    Taken {
        /// Its version.
        version: i64,
    },
    /// What is there is not what was demanded.
    #[error("the item is at version {version}")]
    Outdated {
        /// Its version.
        version: i64,
    },
    /// Nothing was demanded of what is there.
    #[error("the item is at version {version}: say which one is meant, with If-Match")]
    Unconditional {
        /// Its version.
        version: i64,
    },
    /// It says what it says for ever.
    #[error("an accepted {kind} does not change: write a new one that supersedes it")]
    Settled {
        /// Its kind.
        kind: &'static str,
    },
    /// It stands for ever.
    #[error("what was accepted is not deleted: deprecate this {kind}, or write a new one that supersedes it")]
    Standing {
        /// Its kind.
        kind: &'static str,
    },
    /// Its life does not go there.
    #[error("an item that is {from} does not become {to}{}", after(.next))]
    NoSuchWay {
        /// Its status.
        from: &'static str,
        /// The one wanted.
        to: &'static str,
        /// What it may become.
        next: &'static [Status],
    },
    /// No life begins there.
    #[error("an item does not begin as {0}; it begins as draft, proposed or accepted")]
    NoSuchBegin(&'static str),
    /// It takes the right to propose.
    #[error("your roles do not allow to write knowledge")]
    MayNotWrite,
    /// It is somebody else's.
    #[error("the item is somebody else's: its author or an editor changes it")]
    Anothers,
    /// It takes the right to review.
    #[error("your roles do not allow to change what is accepted, or to accept")]
    MayNotReview,
}

fn after(next: &[Status]) -> String {
    if next.is_empty() {
        return "; this is its end".to_owned();
    }
    let names: Vec<&str> = next.iter().map(|status| status.as_str()).collect();
    format!("; it becomes {}", names.join(" or "))
}

/// Decides what a write does. `old` is what stands at the path: live, deleted, or nothing.
///
/// # Errors
/// [`Refusal`] says why nothing is written.
pub fn plan(old: Option<&Stored>, wanted: &Snapshot, demanded: Precondition, rights: &Rights) -> Result<Plan, Refusal> {
    if !rights.may_write() {
        return Err(Refusal::MayNotWrite);
    }
    let live = old.filter(|stored| !stored.deleted);
    let wanted_status = wanted.attributes.status;
    let Some(old) = live else {
        return match demanded {
            Precondition::Version(_) | Precondition::Present => Err(Refusal::Absent),
            Precondition::Absent | Precondition::Unsaid => plan_begin(wanted_status, rights),
        };
    };
    // A retry of the same write is no conflict, whatever it demanded.
    let same = says_the_same(old, wanted);
    match demanded {
        _ if same => return Ok(Plan::Keep),
        Precondition::Absent => return Err(Refusal::Taken { version: old.version }),
        Precondition::Unsaid => return Err(Refusal::Unconditional { version: old.version }),
        Precondition::Version(version) if version != old.version => {
            return Err(Refusal::Outdated { version: old.version });
        }
        Precondition::Version(_) | Precondition::Present => {}
    }
    plan_change(old, wanted, rights)
}

/// By hash: a number that went through the database may come back in another form of itself.
fn says_the_same(old: &Stored, wanted: &Snapshot) -> bool {
    old.hash == wanted.hash()
}

fn plan_begin(status: Status, rights: &Rights) -> Result<Plan, Refusal> {
    may_bring(status, rights)?;
    if !status.may_begin() {
        return Err(Refusal::NoSuchBegin(status.as_str()));
    }
    Ok(Plan::Store(Action::Created))
}

fn plan_change(old: &Stored, wanted: &Snapshot, rights: &Rights) -> Result<Plan, Refusal> {
    let (from, to) = (old.snapshot.attributes.status, wanted.attributes.status);
    may_touch(old, rights)?;
    may_bring(to, rights)?;
    let mut in_old_status = wanted.clone();
    in_old_status.attributes.status = from;
    let only_moved = says_the_same(old, &in_old_status);
    if old.snapshot.attributes.kind.is_settled(from) && !only_moved {
        let kind = old.snapshot.attributes.kind.as_str();
        return Err(Refusal::Settled { kind });
    }
    // Superseded is what another item makes of it, never what is asked for.
    if !from.may_become(to) || (from != to && to == Status::Superseded) {
        let (from, to, next) = (from.as_str(), to.as_str(), from.next());
        return Err(Refusal::NoSuchWay { from, to, next });
    }
    Ok(Plan::Store(if only_moved { Action::Moved } else { Action::Changed }))
}

/// Decides whether an item may be deleted.
///
/// # Errors
/// [`Refusal`] says why not.
pub fn plan_delete(old: Option<&Stored>, demanded: Precondition, rights: &Rights) -> Result<(), Refusal> {
    if !rights.may_write() {
        return Err(Refusal::MayNotWrite);
    }
    let old = old.filter(|stored| !stored.deleted).ok_or(Refusal::Absent)?;
    match demanded {
        Precondition::Unsaid | Precondition::Absent => return Err(Refusal::Unconditional { version: old.version }),
        Precondition::Version(version) if version != old.version => {
            return Err(Refusal::Outdated { version: old.version });
        }
        Precondition::Version(_) | Precondition::Present => {}
    }
    may_touch(old, rights)?;
    let (kind, status) = (old.snapshot.attributes.kind, old.snapshot.attributes.status);
    // Else another would be made at its path.
    if kind.is_settled(status) {
        return Err(Refusal::Standing { kind: kind.as_str() });
    }
    Ok(())
}

/// What it takes to write over an item, or to take it away.
fn may_touch(old: &Stored, rights: &Rights) -> Result<(), Refusal> {
    if rights.may_edit() {
        return Ok(());
    }
    if old.snapshot.attributes.status.needs_review() {
        return Err(Refusal::MayNotReview);
    }
    if old.author == rights.subject() {
        Ok(())
    } else {
        Err(Refusal::Anothers)
    }
}

/// What it takes to bring an item into a status, or to change it there.
fn may_bring(status: Status, rights: &Rights) -> Result<(), Refusal> {
    let may = match status {
        Status::Draft | Status::Proposed => rights.may_write(),
        Status::Accepted => rights.may_accept(),
        Status::Deprecated | Status::Superseded | Status::Rejected => rights.may_edit(),
    };
    if may { Ok(()) } else { Err(Refusal::MayNotReview) }
}

#[cfg(test)]
mod tests;
