//! One file a step. Each does its step's work once and tells what it saw; what follows is decided by
//! `aeterna_tenancy::moves::step::next`.

pub mod catch_up;
pub mod clean;
pub mod copy;
pub mod cutover;
pub mod retain;
pub mod verify;
pub mod wait;
