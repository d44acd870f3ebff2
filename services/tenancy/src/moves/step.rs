//! The state machine of a move: which step follows which observation. Pure; the relocator does what a step asks for.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where a move stands. Each step can be repeated from its start after any crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Fills the target with the live rows, page by page.
    ///
    /// Entry: recorded, target ready, the watermark saved before the first page. Invariant: every row changed since the
    /// watermark will be seen by CatchUp. Exit: the cursor is at the end. Undo: delete the move's generation from the target.
    Copy,
    /// Applies what changed since the watermark, deletions too, until little is left.
    ///
    /// Entry: all pages acknowledged. Invariant: the watermark moves only after its delta is acknowledged. Exit: few changes
    /// remain and the target is indexed. Undo: as Copy.
    CatchUp,
    /// Compares truth and target both ways by point, and repairs differences older than the watermark.
    ///
    /// Entry: caught up. Exit: a pass without a repair. Undo: as Copy.
    Verify,
    /// Waits until the cutover may be tried: after a try that failed, a pause.
    ///
    /// Entry: verified. Exit: the pause is over and the verification is fresh, else back to CatchUp. Undo: as Copy.
    Await,
    /// Closes the fence, applies the last delta, switches the route; all in one transaction.
    ///
    /// Entry: verification fresh. Exit: committed. A try that runs out of its budget changes nothing. Undo: a new move back.
    Cutover,
    /// The tenant lives in the target; the source is kept for the retention.
    ///
    /// Entry: flipped. Exit: the retention is over, or a new move began. Undo: a new move back.
    Retain,
    /// The clean-up ledger deletes the source's points, twice.
    ///
    /// Entry: the ledger has the bound. Exit: both runs are done, or the source is gone. Undo: none.
    Clean,
    /// All is done.
    Done,
    /// Cancelled before its cutover; its points are cleaned through the ledger.
    Cancelled,
}

/// All steps in order, for progress displays.
pub const STEPS: [Step; 8] = [
    Step::Copy,
    Step::CatchUp,
    Step::Verify,
    Step::Await,
    Step::Cutover,
    Step::Retain,
    Step::Clean,
    Step::Done,
];

impl Step {
    /// Returns the stored and displayed form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "Copy",
            Self::CatchUp => "CatchUp",
            Self::Verify => "Verify",
            Self::Await => "Await",
            Self::Cutover => "Cutover",
            Self::Retain => "Retain",
            Self::Clean => "Clean",
            Self::Done => "Done",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Tells whether the route still names the source: the move may be cancelled, and blocks another one.
    #[must_use]
    pub fn is_before_retain(self) -> bool {
        match self {
            Self::Copy | Self::CatchUp | Self::Verify | Self::Await | Self::Cutover => true,
            Self::Retain | Self::Clean | Self::Done | Self::Cancelled => false,
        }
    }

    /// Tells whether nothing is left to do.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Cancelled => true,
            Self::Copy | Self::CatchUp | Self::Verify | Self::Await | Self::Cutover | Self::Retain | Self::Clean => {
                false
            }
        }
    }

    /// Returns the place among [`STEPS`], counted from 1; 0 for a cancelled move.
    #[must_use]
    pub fn number(self) -> usize {
        STEPS.iter().position(|step| *step == self).map_or(0, |index| index + 1)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Step {
    type Error = Error;

    fn try_from(value: String) -> Result<Self, Error> {
        STEPS
            .into_iter()
            .chain([Self::Cancelled])
            .find(|step| step.as_str() == value)
            .ok_or(Error::UnknownValue {
                column: "moves.step",
                value,
            })
    }
}

/// Changes that may remain when CatchUp hands over: one page, which the fence applies well within its budget.
pub const FEW_CHANGES: u64 = 256;

/// How long a verification counts. Older than this, the move catches up and verifies again.
pub const VERIFICATION_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Tells whether a verification still counts.
#[must_use]
pub fn is_fresh(verified_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(verified_at) <= VERIFICATION_LIFE
}

/// What the worker saw after doing its step's work once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A page was applied to the target.
    Copied {
        /// No row lies behind the cursor.
        at_end: bool,
    },
    /// A delta was applied to the target and the watermark raised.
    CaughtUp {
        /// Rows in that delta that the target had not.
        applied: u64,
        /// The store has indexed the target.
        indexed: bool,
    },
    /// A pass over truth and target is over.
    Verified {
        /// Differences repaired.
        repaired: u64,
    },
    /// The wait was looked at.
    Waited {
        /// When the last clean verification was.
        verified_at: Option<Timestamp>,
        /// The pause is over.
        due: bool,
    },
    /// A cutover was tried.
    Tried {
        /// The route was switched and the transaction committed.
        flipped: bool,
    },
    /// The retention was looked at.
    Retained {
        /// It is over.
        over: bool,
    },
    /// The ledger was looked at.
    Cleaned {
        /// Its entry is done.
        done: bool,
    },
}

/// Returns the step that follows. An observation of another step's work changes nothing.
#[must_use]
pub fn next(step: Step, seen: &Observation, now: Timestamp) -> Step {
    match (step, seen) {
        // After a failed try under writes, the next one needs the delta of the meantime applied first.
        (Step::Copy, Observation::Copied { at_end: true }) | (Step::Cutover, Observation::Tried { flipped: false }) => {
            Step::CatchUp
        }
        (Step::CatchUp, Observation::CaughtUp { applied, indexed: true }) if *applied <= FEW_CHANGES => Step::Verify,
        (Step::Verify, Observation::Verified { repaired: 0 }) => Step::Await,
        (Step::Await, Observation::Waited { verified_at, due }) => match verified_at {
            Some(at) if is_fresh(*at, now) => {
                if *due {
                    Step::Cutover
                } else {
                    Step::Await
                }
            }
            Some(_) | None => Step::CatchUp,
        },
        (Step::Cutover, Observation::Tried { flipped: true }) => Step::Retain,
        (Step::Retain, Observation::Retained { over: true }) => Step::Clean,
        (Step::Clean, Observation::Cleaned { done: true }) => Step::Done,
        (
            Step::Copy
            | Step::CatchUp
            | Step::Verify
            | Step::Await
            | Step::Cutover
            | Step::Retain
            | Step::Clean
            | Step::Done
            | Step::Cancelled,
            Observation::Copied { .. }
            | Observation::CaughtUp { .. }
            | Observation::Verified { .. }
            | Observation::Waited { .. }
            | Observation::Tried { .. }
            | Observation::Retained { .. }
            | Observation::Cleaned { .. },
        ) => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    #[test]
    fn the_happy_way_leads_through_all_steps_in_order() {
        let happy = [
            Observation::Copied { at_end: true },
            Observation::CaughtUp {
                applied: 0,
                indexed: true,
            },
            Observation::Verified { repaired: 0 },
            Observation::Waited {
                verified_at: Some(now()),
                due: true,
            },
            Observation::Tried { flipped: true },
            Observation::Retained { over: true },
            Observation::Cleaned { done: true },
        ];
        let mut step = Step::Copy;
        for (seen, expected) in happy.iter().zip(STEPS.into_iter().skip(1)) {
            step = next(step, seen, now());
            assert_eq!(step, expected);
        }
    }

    #[test]
    fn attack_21_a_target_that_is_not_indexed_is_not_cut_over_to() {
        let seen = Observation::CaughtUp {
            applied: 0,
            indexed: false,
        };
        assert_eq!(next(Step::CatchUp, &seen, now()), Step::CatchUp);
    }

    #[test]
    fn a_pass_that_repaired_something_is_repeated() {
        assert_eq!(
            next(Step::Verify, &Observation::Verified { repaired: 1 }, now()),
            Step::Verify
        );
    }

    #[test]
    fn a_stale_verification_does_not_open_the_cutover() {
        let old = now() - VERIFICATION_LIFE - jiff::SignedDuration::from_secs(1);
        let seen = Observation::Waited {
            verified_at: Some(old),
            due: true,
        };
        assert_eq!(next(Step::Await, &seen, now()), Step::CatchUp);
    }

    #[test]
    fn a_failed_cutover_goes_back_to_catch_up() {
        assert_eq!(
            next(Step::Cutover, &Observation::Tried { flipped: false }, now()),
            Step::CatchUp
        );
    }

    fn any_observation() -> impl Strategy<Value = Observation> {
        prop_oneof![
            any::<bool>().prop_map(|at_end| Observation::Copied { at_end }),
            (0_u64..1_000, any::<bool>()).prop_map(|(applied, indexed)| Observation::CaughtUp { applied, indexed }),
            (0_u64..3).prop_map(|repaired| Observation::Verified { repaired }),
            any::<bool>().prop_map(|flipped| Observation::Tried { flipped }),
            any::<bool>().prop_map(|done| Observation::Cleaned { done }),
            any::<bool>().prop_map(|over| Observation::Retained { over }),
        ]
    }

    proptest! {
        #[test]
        fn only_a_cutover_leads_into_retain(seen in prop::collection::vec(any_observation(), 1..60)) {
            let mut step = Step::Copy;
            for observation in &seen {
                let following = next(step, observation, now());
                if following == Step::Retain && step != Step::Retain {
                    prop_assert_eq!(step, Step::Cutover);
                }
                prop_assert!(!(step.is_final() && following != step), "a final step is left");
                step = following;
            }
        }
    }
}
