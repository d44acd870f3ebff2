//! A client of the memory service: fills tenants with real text, searches, and writes while others move things.
//!
//! Its [`ledger`] is the oracle of the demo and of the end-to-end tests: what the service acknowledged must be found, what
//! it acknowledged as deleted must not come back.

pub mod client;
pub mod corpus;
pub mod fill;
pub mod ledger;
pub mod traffic;
