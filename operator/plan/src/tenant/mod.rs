//! A TenantShard: what it needs next, and its status.

mod next;
mod status;

pub use next::{Action, MoveView, Seen, Step, plan_next, wanted_shard};
pub use status::{Report, Serving, derive_status, same_but_progress};
