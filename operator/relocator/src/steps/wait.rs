//! Await: the pause between two tries of a cutover, and the age of the verification.

use std::time::Duration;

use aeterna_tenancy::moves::step::Observation;
use tokio::time::Instant;

use crate::drive::{Driven, Pace};

/// Looks at the conditions of a cutover. A claim that was given back for the pause comes again when it is over.
#[must_use]
pub fn look(driven: &mut Driven) -> (Observation, Pace) {
    let left = driven
        .cutover_due
        .map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
    let due = left.is_zero();
    let progress = &mut driven.moving.progress;
    progress.waiting_for = (!due).then(|| "the next try of the cutover".to_owned());
    let seen = Observation::Waited {
        verified_at: progress.verified_at,
        due,
    };
    (seen, if due { Pace::On } else { Pace::Rest(left) })
}
