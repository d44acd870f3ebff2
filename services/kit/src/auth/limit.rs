//! Requests a second, by tenant.

use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::ids::TenantId;
use crate::problem::{Code, Problem};

/// A rate limit by tenant, in this process.
#[derive(Debug, Default)]
pub struct Limit(Option<DefaultKeyedRateLimiter<TenantId>>);

impl Limit {
    /// Allows so many requests a second, and twice as many at once; `None` allows all.
    #[must_use]
    pub fn per_second(rate: Option<NonZeroU32>) -> Self {
        Self(rate.map(|rate| {
            DefaultKeyedRateLimiter::keyed(Quota::per_second(rate).allow_burst(rate.saturating_mul(TWICE)))
        }))
    }

    pub(super) fn check(&self, tenant: &TenantId) -> Result<(), Problem> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(tenant).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
            Problem {
                retry_after: Some(seconds),
                ..Problem::new(
                    Code::RateLimited,
                    "the tenant has used up its requests; see Retry-After",
                )
            }
        })
    }
}

const TWICE: NonZeroU32 = NonZeroU32::new(2).expect("two is not zero");
