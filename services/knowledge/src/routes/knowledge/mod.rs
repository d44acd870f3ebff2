//! `/api/v1/knowledge`.
//!
//! A path goes on over slashes, so nothing can stand behind it: what else there is to see of an item is a `view`, and a slash
//! at the end means the folder.

pub mod body;
pub mod create;
pub mod delete;
pub mod diff;
pub mod export;
pub mod folder;
pub mod get;
pub mod history;
pub mod import;
pub mod put;
pub mod relations;
pub mod root;
pub mod search;
mod successor;
mod tag;
pub mod upload;
