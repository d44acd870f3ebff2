//! Until when a worker may act on its job, by its own clock.
//!
//! The database ends a lease by its clock, and gives the job to somebody else then. A worker that was stopped for a while
//! does not hear of it; so before it asks a target for anything it looks here, and asks for nothing that could still be on
//! its way when the lease is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A worker's knowledge of its lease; clones are of the same one.
#[derive(Debug, Clone)]
pub struct Lease(Arc<watch::Sender<Instant>>);

impl Lease {
    /// Makes one that is good until a time.
    #[must_use]
    pub fn until(time: Instant) -> Self {
        Self(Arc::new(watch::Sender::new(time)))
    }

    /// Says that it is good until a later time.
    pub fn renew(&self, time: Instant) {
        self.0.send_replace(time);
    }

    /// Returns the last moment at which something may be begun that takes so long.
    #[must_use]
    pub fn last_moment(&self, takes: Duration) -> Instant {
        let end = *self.0.borrow();
        // Before the clock began nothing can be.
        end.checked_sub(takes).unwrap_or(end)
    }

    /// Tells whether something that takes so long ends before it does.
    #[must_use]
    pub fn allows(&self, takes: Duration) -> bool {
        Instant::now() < self.last_moment(takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_outlast_the_lease_is_not_begun() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let lease = Lease::until(now + 30 * second);
        assert!(lease.allows(10 * second) && !lease.allows(30 * second));
        assert_eq!(lease.last_moment(10 * second), now + 20 * second);
        lease.clone().renew(now + 5 * second);
        assert!(!lease.allows(10 * second) && lease.allows(second));
    }
}
