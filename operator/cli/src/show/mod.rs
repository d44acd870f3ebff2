//! Wording: lines, tables, and a bar on a terminal.

mod progress;
mod text;

pub use progress::Display;
pub use text::{write_answer, write_table, write_tenant};
