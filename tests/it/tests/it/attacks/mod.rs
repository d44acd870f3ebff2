//! The numbered attacks on the move protocol. A file a group; the names carry the numbers of `docs/move-protocol.md`.

mod comparison;
mod cutover;
mod intents;
mod late_requests;
mod lives;
mod pooler;
mod relay;
mod tenants;
mod truth;
