//! `/api/v1/audit`.

pub mod list;
pub mod verify;
