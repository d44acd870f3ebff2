//! The status of a cluster, written when it has changed.

use aeterna_crds::v1alpha1::{AeternaCluster, AeternaClusterStatus, ConditionType, find_condition};
use aeterna_plan::cluster::{Observed, derive_interrupted, derive_status};
use aeterna_plan::report::Because;
use jiff::Timestamp;
use kube::Resource as _;

use super::{Context, Error};

/// Writes the status if it differs, tells of a change, and returns whether the cluster is ready.
pub(super) async fn report(
    context: &Context,
    cluster: &AeternaCluster,
    seen: &Observed,
    now: Timestamp,
) -> Result<bool, Error> {
    let status = derive_status(cluster.status.as_ref(), cluster.metadata.generation, seen, now);
    let ready = find_condition(&status.conditions, ConditionType::Ready).is_some_and(|ready| ready.status == "True");
    write(context, cluster, &status).await?;
    Ok(ready)
}

/// Writes that a pass ended before it had seen everything.
pub(super) async fn report_interrupted(
    context: &Context,
    cluster: &AeternaCluster,
    because: &Because,
    now: Timestamp,
) -> Result<(), Error> {
    let status = derive_interrupted(cluster.status.as_ref(), cluster.metadata.generation, because, now);
    write(context, cluster, &status).await
}

async fn write(context: &Context, cluster: &AeternaCluster, status: &AeternaClusterStatus) -> Result<(), Error> {
    let old = cluster.status.as_ref();
    if old == Some(status) {
        return Ok(());
    }
    let written = context.statuses.write(&context.client, cluster, status).await;
    if !written.map_err(|source| Error::Api {
        operation: "write the status of an AeternaCluster",
        source: Box::new(source),
    })? {
        return Ok(());
    }
    let before = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
    context
        .events
        .publish_change(&cluster.object_ref(&()), before, &status.conditions)
        .await;
    Ok(())
}
