//! The operator on a real API server: what it says about every fault, and that it goes on when the fault is gone.
//!
//! There are no nodes here, so no pod ever starts; what a kubelet decides is tested on the real node, by `tests/e2e`.

mod children;
mod clusters;
mod deletion;
mod leadership;
mod owners;
mod place;
mod refused;
mod tenants;
mod world;
