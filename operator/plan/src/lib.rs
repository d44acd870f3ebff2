//! Pure planning: what a spec asks for and what was observed go in; what to apply, to call and to report comes out.
//!
//! No client, no runtime, no clock: this crate cannot do anything, which is why all of it can be tested. [`cluster`] builds
//! the children of an AeternaCluster, one file a child; [`tenant`] decides what a TenantShard needs next and words its
//! status; [`report`] keeps conditions.

pub mod cluster;
pub mod report;
pub mod tenant;
