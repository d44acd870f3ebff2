//! The life of an item, as a state machine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an item is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its author is at it; only they and reviewers see it.
    Draft,
    /// It waits for a review.
    Proposed,
    /// It holds.
    Accepted,
    /// It holds no longer, and nothing stands in its place.
    Deprecated,
    /// Another item stands in its place.
    Superseded,
    /// It was not accepted.
    Rejected,
}

/// All statuses, in the order of a life.
pub const STATUSES: [Status; 6] = [
    Status::Draft,
    Status::Proposed,
    Status::Accepted,
    Status::Deprecated,
    Status::Superseded,
    Status::Rejected,
];

impl Status {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Proposed => "proposed",
            Self::Accepted => "accepted",
            Self::Deprecated => "deprecated",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
        }
    }

    /// Finds a status by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        STATUSES.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns the statuses that may follow this one, besides itself.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Proposed, Self::Accepted],
            Self::Proposed => &[Self::Draft, Self::Accepted, Self::Rejected],
            Self::Accepted => &[Self::Deprecated, Self::Superseded],
            Self::Deprecated => &[Self::Superseded],
            // What took its place would have to go first: write a new item instead.
            Self::Superseded => &[],
            Self::Rejected => &[Self::Draft],
        }
    }

    /// Tells whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self == next || self.next().contains(&next)
    }

    /// Tells whether an item may begin its life so. The others tell of a life that it must have had.
    #[must_use]
    pub fn may_begin(self) -> bool {
        matches!(self, Self::Draft | Self::Proposed | Self::Accepted)
    }

    /// Tells whether it takes a reviewer to bring an item here, or to change one that is here.
    #[must_use]
    pub fn needs_review(self) -> bool {
        !matches!(self, Self::Draft | Self::Proposed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_superseded_and_nothing_is_superseded_that_never_held() {
        for status in STATUSES {
            assert_eq!(Status::Superseded.may_become(status), status == Status::Superseded);
        }
        for status in [Status::Draft, Status::Proposed, Status::Rejected] {
            assert!(!status.may_become(Status::Superseded), "{status:?}");
        }
    }

    #[test]
    fn what_was_accepted_is_never_a_draft_again() {
        let mut reached = vec![Status::Accepted];
        while let Some(next) = reached
            .iter()
            .flat_map(|status| status.next())
            .find(|next| !reached.contains(next))
        {
            reached.push(*next);
        }
        assert!(
            !reached.contains(&Status::Draft) && !reached.contains(&Status::Proposed),
            "{reached:?}"
        );
    }

    #[test]
    fn a_rejection_can_be_worked_on() {
        assert!(Status::Rejected.may_become(Status::Draft) && !Status::Rejected.may_become(Status::Accepted));
    }
}
