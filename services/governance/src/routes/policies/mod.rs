//! `/api/v1/policies`.

pub mod create;
pub mod diff;
pub mod evaluate;
pub mod evaluation;
pub mod get;
pub mod list;
pub mod rollback;
pub mod simulate;
pub mod snapshot;
pub mod update;
pub mod validate;
pub mod view;
