//! Moves: a tenant's projection is built a second time from the truth, verified, switched to, and the first one cleaned.
//!
//! ```text
//! Copy -> CatchUp -> Verify -> Await -> Cutover -> Retain -> Clean -> Done
//!   \________ \________ \________ \________/  cancel (compare-and-set of the step) -> Cancelled
//! ```
//!
//! A move never copies from collection to collection. PostgreSQL holds every memory with its embedding; the target is
//! filled from there under a *generation* of its own, so that what an earlier stay of the tenant left behind in the same
//! collection can neither be mistaken for the new projection nor be protected from its clean-up.
//!
//! Who may do what: the operator records a move ([`record`]) and cancels it ([`cancel`]), each under the leader's term.
//! A relocator claims it ([`claim`]): the claim raises `attempt`, and every write of progress ([`save`]) demands the same
//! attempt and the step it expects, so a worker that was stopped, or a move that was cancelled, cannot walk on.
//! [`cutover`] is the one place where the route changes. [`step`] decides, purely, which step follows.
//!
//! One move a tenant can be before its cutover (a unique index); moves in Retain or Clean do not count.

mod cancel;
mod claim;
mod clean;
pub mod cutover;
mod observe;
mod record;
mod row;
pub mod step;

pub use cancel::cancel;
pub use claim::{Claim, Hold, LEASE, claim, save};
pub use clean::{begin_clean, record_pause};
pub use observe::{fetch_moves, fetch_recent_moves};
pub use record::{NewMove, record};
pub use row::{Move, Progress, Snapshot};
pub use step::Step;
