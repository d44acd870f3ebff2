//! The truth: rows of `memory.memories` as writers make them and as movers read them.

mod error;
mod outbox;
mod row;
mod tail;
mod write;

pub use error::{Error, Result};
pub use outbox::{Confirmation, Leftover, claim_leftovers, confirm};
pub use row::{Row, State, fetch_for_apply, fetch_rows};
pub use tail::{Delta, count_live, fetch_changed_since, fetch_delta_page, fetch_page, fetch_rows_of};
pub use write::{Kind, Outcome, WriteItem, Written, write};
