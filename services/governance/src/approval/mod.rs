//! Approvals: who must agree before something is done, and what becomes of a request. No IO.
//!
//! [`machine`] says what follows from each command; [`rules`] which steps a request of some risk needs, and whether they
//! can be satisfied at all. Roles of approvers are asked for each time anew, also of those who have voted already: a vote
//! counts as long as whoever gave it may give it.

pub mod machine;
pub mod rules;

pub use machine::{Change, Command, Refusal, Request, Revision, Status, Step, Verdict, Vote};
