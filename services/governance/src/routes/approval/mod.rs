//! `/api/v1/approval`.

pub mod amend;
pub mod apply;
pub mod break_glass;
pub mod cancel;
pub mod decide;
pub mod effect;
pub mod get;
pub mod list;
pub mod request;
pub mod settle;
pub mod view;
