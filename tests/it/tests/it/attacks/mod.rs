//! The numbered attacks on the move protocol. A file a group; the names carry the numbers of `docs/move-protocol.md`.

mod cutover;
mod intents;
mod late_requests;
mod pooler;
mod tenants;
mod truth;
