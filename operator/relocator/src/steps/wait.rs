//! Await: the pause between two tries of a cutover, and the age of the verification.

use aeterna_kit::clock;
use aeterna_tenancy::moves::step::Observation;

use crate::drive::{Driven, Pace};

/// Looks at the conditions of a cutover.
#[must_use]
pub fn look(driven: &mut Driven) -> (Observation, Pace) {
    let progress = &mut driven.moving.progress;
    let due = clock::now() >= progress.not_before;
    progress.waiting_for = (!due).then(|| "the next try of the cutover".to_owned());
    let seen = Observation::Waited {
        verified_at: progress.verified_at,
        not_before: progress.not_before,
    };
    (seen, if due { Pace::On } else { Pace::Rest })
}
