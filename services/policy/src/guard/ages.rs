//! How old the policies are that requests meet. One number for all tenants: the greatest of the last moments, so a tenant
//! whose policies no longer come is not hidden by one whose policies do.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an age is remembered, at least; twice as long at most.
const MOMENTS: Duration = Duration::from_secs(15);

/// The greatest ages of two spans of time, this one and the one before.
#[derive(Debug, Default)]
pub(super) struct Ages(Mutex<Spans>);

#[derive(Debug, Default)]
struct Spans {
    began: Option<Instant>,
    now: f64,
    before: f64,
}

impl Ages {
    /// Takes the age that a request met, in seconds; returns the greatest that is remembered.
    pub(super) fn greatest(&self, age: f64, now: Instant) -> f64 {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasted = spans.began.map(|began| now.saturating_duration_since(began));
        if lasted.is_none_or(|lasted| lasted >= MOMENTS) {
            let is_fresh = lasted.is_some_and(|lasted| lasted < 2 * MOMENTS);
            spans.before = if is_fresh { spans.now } else { 0.0 };
            spans.now = 0.0;
            spans.began = Some(now);
        }
        spans.now = spans.now.max(age);
        spans.now.max(spans.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ages: &Ages, age: u32, now: Instant) -> u64 {
        Duration::from_secs_f64(ages.greatest(f64::from(age), now)).as_secs()
    }

    #[test]
    fn an_old_age_is_not_hidden_by_a_young_one_and_goes_when_nobody_meets_it_any_more() {
        let (ages, start) = (Ages::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(shown(&ages, 400, at(0)), 400);
        assert_eq!(shown(&ages, 2, at(1)), 400);
        assert_eq!(shown(&ages, 3, at(16)), 400, "of the span before");
        assert_eq!(shown(&ages, 2, at(32)), 3);
        assert_eq!(shown(&ages, 1, at(100)), 1, "long after");
    }
}
