//! The life of a job, as a pure function: which status follows which.
//!
//! ```text
//! queued ──claimed──▶ running ──finished──▶ succeeded | partial | failed
//!   ▲  │                │   │
//!   │  └─cancel─▶ cancelled │ cancel
//!   │                   │   ▼
//!   └─────released──────┘ cancelling ──finished or released──▶ cancelled
//! ```
//! No status follows a terminal one. The SQL of a claim makes the one step `claimed` by itself, and is held to this by a
//! test; every other step asks here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for a worker, or for its next try.
    Queued,
    /// A worker has it.
    Running,
    /// A worker has it and will stop at the next boundary.
    Cancelling,
    /// Everything was delivered.
    Succeeded,
    /// It came to its end, and some items were rejected.
    Partial,
    /// It was given up.
    Failed,
    /// It was cancelled; what was delivered before stays.
    Cancelled,
}

/// All of them.
pub const STATUSES: [Status; 7] = [
    Status::Queued,
    Status::Running,
    Status::Cancelling,
    Status::Succeeded,
    Status::Partial,
    Status::Failed,
    Status::Cancelled,
];

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// Its worker gave it back for a later try.
    Released,
    /// Somebody asked for its end.
    CancelAsked,
    /// Its worker saw that and stopped.
    Stopped,
    /// It came to its end with nothing rejected.
    Succeeded,
    /// It came to its end with rejected items.
    EndedWithRejects,
    /// It cannot succeed.
    GivenUp,
}

impl Status {
    /// Returns the status after an event; `None` when the event cannot happen here.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Queued | Self::Running, Event::Claimed) => Some(Self::Running),
            (Self::Cancelling, Event::Claimed) | (Self::Running | Self::Cancelling, Event::CancelAsked) => {
                Some(Self::Cancelling)
            }
            (Self::Running, Event::Released) => Some(Self::Queued),
            (Self::Queued, Event::CancelAsked) | (Self::Cancelling, Event::Released | Event::Stopped) => {
                Some(Self::Cancelled)
            }
            // The cancellation came too late: what is done is done.
            (Self::Running | Self::Cancelling, Event::Succeeded) => Some(Self::Succeeded),
            (Self::Running | Self::Cancelling, Event::EndedWithRejects) => Some(Self::Partial),
            (Self::Running | Self::Cancelling, Event::GivenUp) => Some(Self::Failed),
            (Self::Queued | Self::Running, Event::Stopped)
            | (Self::Queued, Event::Released | Event::Succeeded | Event::EndedWithRejects | Event::GivenUp)
            | (Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled, _) => None,
        }
    }

    /// Tells whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled)
    }

    /// Returns its name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        STATUSES.into_iter().find(|status| status.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 7] = [
        Event::Claimed,
        Event::Released,
        Event::CancelAsked,
        Event::Stopped,
        Event::Succeeded,
        Event::EndedWithRejects,
        Event::GivenUp,
    ];

    #[test]
    fn nothing_follows_a_terminal_status() {
        for status in STATUSES.into_iter().filter(|status| status.is_terminal()) {
            assert!(
                EVENTS.into_iter().all(|event| status.after(event).is_none()),
                "{status:?}"
            );
        }
    }

    #[test]
    fn a_job_that_is_not_over_can_always_be_cancelled_and_then_never_waits_again() {
        for status in STATUSES.into_iter().filter(|status| !status.is_terminal()) {
            let asked = status.after(Event::CancelAsked).expect("it can be asked for");
            for event in EVENTS {
                assert_ne!(asked.after(event), Some(Status::Queued), "{status:?} {event:?}");
                assert_ne!(asked.after(event), Some(Status::Running), "{status:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_name_reads_back_as_what_it_names() {
        for status in STATUSES {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::json!(status), status.as_str());
        }
        assert_eq!(Status::parse("done"), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_a_job_ends_at_most_once(events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..40)) {
            let (mut status, mut ends) = (Status::Queued, 0);
            for event in events {
                if let Some(next) = status.after(event) {
                    ends += u32::from(next.is_terminal());
                    status = next;
                }
            }
            prop_assert!(ends <= 1);
            prop_assert_eq!(ends == 1, status.is_terminal());
        }
    }
}
