//! What this repository relies on in Qdrant, as cases that run against any server.
//!
//! With `QDRANT_URL` set they run against that server (and `QDRANT_API_KEY`, if it wants one), each in a
//! collection of its own that is removed afterwards; otherwise against the stand-in, started in this process.
//! The modules `stand_in` and `faults` are about the stand-in only.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a case fails by panicking, also in the functions that cases share"
)]

mod collections;
mod concurrency;
mod delete;
mod faults;
mod filters;
mod ground;
mod guard;
mod refusals;
mod scroll;
mod search;
mod stand_in;
