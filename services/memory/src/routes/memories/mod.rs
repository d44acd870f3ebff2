//! `/api/v1/memories`.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod search;
