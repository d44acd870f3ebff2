//! Requests a second, by tenant.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::ids::TenantId;
use crate::problem::{Code, Problem};

/// A rate limit by tenant, in this process.
#[derive(Debug, Default)]
pub struct Limit {
    limiter: Option<DefaultKeyedRateLimiter<TenantId>>,
    asked: AtomicU32,
}

/// Requests between two looks at who may be forgotten: the look goes over all tenants, and must cost a request nothing.
const SWEEP: u32 = 4_096;

impl Limit {
    /// Allows so many requests a second, and twice as many at once; `None` allows all.
    #[must_use]
    pub fn per_second(rate: Option<NonZeroU32>) -> Self {
        let quota = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_mul(TWICE));
        Self {
            limiter: rate.map(|rate| DefaultKeyedRateLimiter::keyed(quota(rate))),
            asked: AtomicU32::new(0),
        }
    }

    pub(super) fn check(&self, tenant: &TenantId) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        // Where nobody proves who they are, a tenant's name is whatever a caller makes up.
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            limiter.retain_recent();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_who_have_used_up_nothing_are_forgotten() {
        // A microsecond later a tenant of such a rate is as good as new.
        let limit = Limit::per_second(NonZeroU32::new(1_000_000));
        for n in 0..4 * SWEEP {
            let tenant = TenantId::parse(format!("invented-{n}")).expect("valid");
            limit.check(&tenant).expect("allowed");
        }
        let kept = limit.limiter.as_ref().map_or(0, DefaultKeyedRateLimiter::len);
        assert!(kept < 8_192, "{kept} tenants are remembered");
    }
}
