//! The truth: rows of `memory.memories` as writers make them and as movers read them.

mod error;
mod outbox;
mod row;
mod tail;
mod write;

pub use error::{Error, Result};
pub use outbox::{Confirmation, Leftover, claim_leftovers, confirm};
pub use row::{Row, State, fetch_for_apply, fetch_rows};
pub use tail::{
    Delta, Page, Range, Unsettled, analyze_if_grown, fetch_changed_since, fetch_start, read_delta, read_page,
    read_points, read_range,
};
pub use write::{Kind, Outcome, WriteItem, Written, write};
