//! The figures, one file each. Each lays what it needs on its ground, measures, and returns lines of the table.

pub mod copy;
pub mod get;
pub mod governance;
pub mod knowledge;
pub mod operator;
pub mod pause;
pub mod post;
pub mod search;
pub mod served;
pub mod sync;
