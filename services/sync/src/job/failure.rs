//! Why a job did not go on, and when to try again: by the class of the error, with full jitter.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of error it was; this alone decides about retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The connection is not right: somebody must change it.
    Config,
    /// A credential was refused: somebody must change it.
    Auth,
    /// A part was away; the same may succeed soon.
    Transient,
    /// A part asked for a pause.
    RateLimited,
    /// What was read is not right.
    Data,
    /// Our fault.
    Internal,
}

/// Why a job stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The kind.
    pub class: Class,
    /// What a client tells failures apart by.
    pub code: &'static str,
    /// A sentence for the caller. Holds no secret.
    pub message: String,
    /// How long the other side asked to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Makes a failure.
    pub fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// The failure as the job shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The kind.
    pub class: Class,
    /// What failures are told apart by.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// Whether the job is tried again by itself.
    pub retryable: bool,
    /// When, at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retry_at: Option<Timestamp>,
}

/// Failures since the last committed batch, by their class: patience with one kind is not used up by another. Those that are
/// never tried again are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", default)]
pub struct Failures {
    transient: u32,
    rate_limited: u32,
    internal: u32,
}

impl Failures {
    /// Returns those of a class.
    #[must_use]
    pub fn of(self, class: Class) -> u32 {
        match class {
            Class::Transient => self.transient,
            Class::RateLimited => self.rate_limited,
            Class::Internal => self.internal,
            Class::Config | Class::Auth | Class::Data => 0,
        }
    }

    /// Counts one more of a class.
    #[must_use]
    pub fn and(mut self, class: Class) -> Self {
        match class {
            Class::Transient => self.transient += 1,
            Class::RateLimited => self.rate_limited += 1,
            Class::Internal => self.internal += 1,
            Class::Config | Class::Auth | Class::Data => {}
        }
        self
    }
}

/// The first and the longest bound of a pause; the bound doubles with each failure in a row.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// The longest pause that another side may ask for.
const LONGEST_WISH: Duration = Duration::from_hours(1);

/// Failures in a row after which a job is given up. With the pauses above: about a quarter of an hour.
const TRANSIENT: u32 = 8;

/// Whoever asks for pauses is alive, and gets more patience.
const RATE_LIMITED: u32 = 20;

/// A fault of ours seldom goes away.
const INTERNAL: u32 = 3;

/// Returns the pause before the next try, or `None` when the job is given up.
///
/// `failures` counts this one too; `chance` is in 0 to 1 and makes the jitter.
#[must_use]
pub fn next_try(failure: &Failure, failures: Failures, chance: f64) -> Option<Duration> {
    let failures = failures.of(failure.class);
    let most = match failure.class {
        Class::Config | Class::Auth | Class::Data => return None,
        Class::Transient => TRANSIENT,
        Class::RateLimited => RATE_LIMITED,
        Class::Internal => INTERNAL,
    };
    if failures >= most {
        return None;
    }
    let bound = PAUSE
        .0
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(PAUSE.1);
    let jitter = bound.mul_f64(chance.clamp(0.0, 1.0));
    let wish = failure.retry_after.unwrap_or_default().min(LONGEST_WISH);
    // Jitter comes on top of a wish, or all that were refused together would come back together.
    Some(wish + jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure(class: Class) -> Failure {
        Failure::new(class, "TEST", "a test")
    }

    /// So many failures of a class.
    fn many(class: Class, count: u32) -> Failures {
        (0..count).fold(Failures::default(), |failures, _| failures.and(class))
    }

    #[test]
    fn patience_with_one_kind_of_failure_is_not_used_up_by_another() {
        let mixed = (0..7).fold(Failures::default(), |failures, _| {
            failures.and(Class::RateLimited).and(Class::Transient)
        });
        assert_eq!(
            next_try(&failure(Class::Transient), mixed.and(Class::Transient), 0.0),
            None
        );
        assert!(next_try(&failure(Class::RateLimited), mixed.and(Class::RateLimited), 0.0).is_some());
        assert!(next_try(&failure(Class::Internal), mixed.and(Class::Internal), 0.0).is_some());
        let kept = serde_json::to_value(mixed).expect("JSON");
        assert_eq!(serde_json::from_value::<Failures>(kept).expect("read back"), mixed);
    }

    #[test]
    fn what_only_somebody_can_change_is_not_tried_again() {
        for class in [Class::Config, Class::Auth, Class::Data] {
            assert_eq!(next_try(&failure(class), many(class, 1), 0.5), None, "{class:?}");
        }
    }

    #[test]
    fn every_class_is_given_up_at_last() {
        for class in [Class::Transient, Class::RateLimited, Class::Internal] {
            assert!(next_try(&failure(class), many(class, 1), 0.5).is_some(), "{class:?}");
            assert_eq!(next_try(&failure(class), many(class, 20), 0.5), None, "{class:?}");
        }
    }

    #[test]
    fn a_wish_is_granted_up_to_an_hour() {
        let mut limited = failure(Class::RateLimited);
        limited.retry_after = Some(Duration::from_secs(7));
        let once = many(Class::RateLimited, 1);
        assert_eq!(next_try(&limited, once, 0.0), Some(Duration::from_secs(7)));
        limited.retry_after = Some(Duration::from_hours(48));
        assert_eq!(next_try(&limited, once, 0.0), Some(LONGEST_WISH));
    }

    proptest! {
        #[test]
        fn jitter_is_full_and_bounded(failures in 1_u32..8, chance in 0.0_f64..1.0) {
            let count = many(Class::Transient, failures);
            let pause = next_try(&failure(Class::Transient), count, chance).expect("tried again");
            let bound = PAUSE.0 * (1 << (failures - 1));
            prop_assert!(pause <= bound.min(PAUSE.1));
            prop_assert_eq!(next_try(&failure(Class::Transient), count, 0.0), Some(Duration::ZERO));
        }
    }
}
