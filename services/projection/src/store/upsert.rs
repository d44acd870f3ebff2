//! Writing points by rule R1.

use std::collections::HashMap;
use std::time::Duration;

use qdrant_client::qdrant::{PointStruct, UpdateStatus, UpsertPointsBuilder};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;
use aeterna_tenancy::Generation;

use super::guard::build_guard;
use super::point::build_point;
use super::{Error, Result, Store};
use crate::truth::Row;

/// Whose points, under which generation.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The generation that the points carry.
    pub generation: Generation,
}

const OPERATION: &str = "take points";

impl Store {
    /// Applies rows to a collection. An equal or newer point is left as it is, which counts as applied.
    ///
    /// # Cancel safety
    /// A dropped call may still land later; rule R1 makes that harmless.
    ///
    /// # Errors
    /// [`Error::RefusedPoints`] when some were refused for good (the others are applied), [`Error::MissingCollection`],
    /// [`Error::Unavailable`] or [`Error::NotCompleted`] when it is unknown what was applied.
    pub async fn upsert(&self, collection: &str, stamp: Stamp<'_>, rows: &[Row], deadline: Duration) -> Result<()> {
        let newest = coalesce(rows);
        let mut refused: Vec<(Uuid, String)> = Vec::new();
        let mut batches: Vec<&[&Row]> = vec![&newest];
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.upsert_batch(collection, stamp, batch, deadline).await {
                Ok(()) => {}
                Err(Error::Refused { reason, .. }) => match batch {
                    [one] => refused.push((one.point_id, reason)),
                    many => {
                        let (left, right) = many.split_at(many.len() / 2);
                        batches.extend([right, left]);
                    }
                },
                Err(other) => return Err(other),
            }
        }
        match refused.split_first() {
            None => Ok(()),
            Some(((first, reason), _)) => Err(Error::RefusedPoints {
                first: *first,
                reason: reason.clone(),
                points: refused.iter().map(|(point, _)| *point).collect(),
            }),
        }
    }

    async fn upsert_batch(&self, collection: &str, stamp: Stamp<'_>, rows: &[&Row], deadline: Duration) -> Result<()> {
        let points: Vec<PointStruct> = rows.iter().map(|row| build_point(row, &stamp)).collect();
        let request = UpsertPointsBuilder::new(collection, points)
            .wait(true)
            .update_filter(build_guard(rows, &stamp));
        let reply = self
            .bounded(OPERATION, collection, deadline, self.client.upsert_points(request))
            .await?;
        require_completed(OPERATION, reply.result.map(|result| result.status))
    }
}

/// Keeps the newest row of each point: Qdrant judges the guard once for the batch, so two versions of one id in it would
/// both pass, in any order.
fn coalesce(rows: &[Row]) -> Vec<&Row> {
    let mut newest: HashMap<Uuid, &Row> = HashMap::with_capacity(rows.len());
    for row in rows {
        newest
            .entry(row.point_id)
            .and_modify(|kept| {
                if kept.version < row.version {
                    *kept = row;
                }
            })
            .or_insert(row);
    }
    let mut newest: Vec<&Row> = newest.into_values().collect();
    newest.sort_unstable_by_key(|row| row.point_id);
    newest
}

/// Rule R4.
pub(super) fn require_completed(operation: &'static str, status: Option<i32>) -> Result<()> {
    match status {
        Some(status) if status == i32::from(UpdateStatus::Completed) => Ok(()),
        other => Err(Error::NotCompleted {
            operation,
            status: other.unwrap_or_default(),
        }),
    }
}
