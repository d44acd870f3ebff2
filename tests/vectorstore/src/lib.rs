//! A small server that speaks Qdrant's gRPC: the store of the demo and of the tests.
//!
//! It keeps its points on disk, answers from memory and searches exactly. What it implements behaves as Qdrant
//! 1.19 does, held to that by the contract suite in `tests/contract`; what it does not implement it refuses by
//! name. It is no database for production: one process, no replicas, no approximate index.
//!
//! Start at [`Server`]; [`Faults`] makes a running one misbehave on purpose. Inside, data goes one way:
//! `rpc` (paths, keys, faults) → `calls` (messages) → `filter` and `store` (points).

mod calls;
mod error;
mod faults;
mod filter;
mod named;
mod op;
mod rpc;
mod server;
mod store;

pub use error::DiskError;
pub use faults::{Faults, Held, LostReply, Target};
pub use op::Op;
pub use server::{Running, ServeError, Server};
