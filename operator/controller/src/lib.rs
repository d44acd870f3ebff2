//! The operator process.
//!
//! Two controllers of one shape, [`cluster`] and [`tenant`]: `observe` reads, `aeterna-plan` decides, `act` does, `report`
//! writes the [`status`] when it has changed. They share a [`registry`] of the clusters whose database is known, and the
//! [`lease`], which ends the process when it is lost; outside of Kubernetes the leader's term in PostgreSQL is the fence.
//!
//! The operator writes no spec, sets no replicas where an autoscaler rules, and owns no data: shards and moves are rows of
//! `aeterna-tenancy`, collections are made and dropped through `aeterna-projection`.

pub mod apply;
pub mod backoff;
pub mod bounded;
pub mod cluster;
pub mod events;
pub mod lease;
pub mod registry;
pub mod run;
pub mod settings;
pub mod status;
pub mod tenant;

/// The name that every AeternaCluster has.
const CLUSTER: &str = "aeterna";
