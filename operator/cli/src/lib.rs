//! The command line. It speaks to the Kubernetes API and to nothing else: a move is a changed TenantShard, a verification
//! an annotation, and the answers are in the status. RBAC says who may.
//!
//! [`args`] is what a user types, [`commands`] what it does, [`follow`] decides purely from a status whether a wait is
//! over, [`show`] words it, [`exit`] has the codes that scripts use.

pub mod args;
pub mod commands;
pub mod error;
pub mod exit;
pub mod find;
pub mod follow;
pub mod show;
