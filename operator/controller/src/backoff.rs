//! How long an object that failed waits: by object, doubling, forgotten on success.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first and the longest wait.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Failures in a row, by object.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Counts a failure and returns how long to wait.
    pub fn fail(&self, object: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object.to_owned()).or_default();
        *count = count.saturating_add(1);
        WAIT.0
            .saturating_mul(2_u32.saturating_pow(count.saturating_sub(1).min(16)))
            .min(WAIT.1)
    }

    /// Forgets the failures of an object: it succeeded, or is gone.
    pub fn forget(&self, object: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_begin_anew_after_success() {
        let backoff = Backoff::default();
        assert_eq!(
            [backoff.fail("a"), backoff.fail("a"), backoff.fail("b")].map(|wait| wait.as_secs()),
            [1, 2, 1]
        );
        let last = (0..40).map(|_| backoff.fail("a")).last();
        assert_eq!(last, Some(Duration::from_secs(300)));
        backoff.forget("a");
        assert_eq!(backoff.fail("a"), Duration::from_secs(1));
    }
}
