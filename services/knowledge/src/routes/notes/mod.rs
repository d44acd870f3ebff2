//! `/api/v1/notes`.

pub mod create;
mod material;
pub mod review;
