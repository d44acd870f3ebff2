//! Routes, shards and moves: which Qdrant collection holds which tenant's projection, and how that changes.
//!
//! Owns the schema `routing` of PostgreSQL: its migrations, the pure state machine of a move ([`moves::step`]) and the
//! invariants that code, tests and the relocator share. It never talks to Qdrant (that is `aeterna-projection`) and never
//! to Kubernetes. Everything here runs as the role `aeterna_system`; services read their own route inside the write and
//! search functions of `aeterna-projection` instead.
//!
//! Start at [`moves`]: the life of a move from its record to its clean-up. `docs/move-protocol.md` has its rules.

pub mod cleanups;
pub mod cluster;
mod error;
pub mod ids;
pub mod leader;
mod migrations;
pub mod moves;
pub mod naming;
pub mod routes;
pub mod shards;
pub mod verifications;

pub use error::{Error, Result};
pub use ids::{Attempt, Generation, MoveId, ShardId, Term};
pub use migrations::migrations;
