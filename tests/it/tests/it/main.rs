//! Integration tests of the move protocol on a real PostgreSQL and the vector store, in one binary.
//!
//! [`ground`] is where they stand: a fresh database, a store with its faults, shards, a relocator to drive by hand.
//! [`attacks`] are the numbered cases of `docs/move-protocol.md`; [`kills`] crashes a relocator at every point it passes;
//! [`api`] is the memory service as its callers see it; [`knowledge`], [`governance`] and [`sync`] are the other services;
//! [`guard`] puts policies before them, [`fuzz`] asks all their routes as everybody, [`weather`] kills their stores under load;
//! [`operator`] works on a real API server; [`codes`] looks whether each code of a problem is tested.
#![expect(clippy::indexing_slicing, reason = "an absent field of a JSON value reads as null")]

mod api;
mod attacks;
mod codes;
mod connections;
mod fuzz;
mod governance;
mod ground;
mod guard;
mod kills;
mod knowledge;
mod life;
mod operator;
mod sync;
mod weather;
