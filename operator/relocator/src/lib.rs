//! The relocator: the worker that builds, verifies, switches and cleans tenant projections.
//!
//! It claims moves from PostgreSQL ([`worker`]), drives each through its steps ([`drive`]; one file a step in [`steps`]),
//! runs the clean-up ledger ([`cleaner`]) and answers requests to verify a live projection ([`verifier`]). Any number may
//! run; a claim's fencing token keeps two from working on one move, and every step may be repeated from its start, so one
//! that is killed loses nothing but time.
//!
//! What it may do to a store is in `aeterna-projection`, what it may do to a move in `aeterna-tenancy`. It decides nothing:
//! which tenant moves where is the operator's business.

pub mod cleaner;
pub mod compare;
pub mod drive;
mod error;
pub mod probe;
pub mod settings;
pub mod steps;
pub mod verifier;
pub mod worker;

pub use error::{Error, Result};
pub use probe::{Point, Probe};
