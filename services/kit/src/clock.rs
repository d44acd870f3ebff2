//! The one home of the present.

use jiff::Timestamp;

/// Returns the present by this machine's clock. Leases and deadlines that others see use the database's.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
