//! Deleting many points by rule R3.

use std::ops::RangeInclusive;

use qdrant_client::qdrant::{Condition, DeletePointsBuilder, Filter, Range};

use aeterna_kit::ids::TenantId;
use aeterna_tenancy::Generation;
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;

use super::point::{GENERATION, TENANT};
use super::upsert::require_completed;
use super::{Result, Store};

const OPERATION: &str = "delete points";

impl Store {
    /// Deletes the tenant's points of a range of generations; all others stay, whatever their age.
    ///
    /// # Errors
    /// [`super::Error::MissingCollection`]: then nothing is left to delete; others as in [`Store::upsert`].
    pub async fn delete_range(
        &self,
        collection: &str,
        tenant: &TenantId,
        generations: RangeInclusive<Generation>,
    ) -> Result<()> {
        let filter = Filter::must([
            Condition::matches(TENANT, tenant.as_str().to_owned()),
            Condition::range(GENERATION, between(&generations)),
        ]);
        let request = DeletePointsBuilder::new(collection).points(filter).wait(true);
        let reply = self
            .bounded(
                OPERATION,
                collection,
                REQUEST_DEADLINE,
                self.client.delete_points(request),
            )
            .await?;
        require_completed(OPERATION, reply.result.map(|result| result.status))
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "exact below 2^53: incarnations below 2^13"
)]
fn between(generations: &RangeInclusive<Generation>) -> Range {
    Range {
        gte: Some(generations.start().0 as f64),
        lte: Some(generations.end().0 as f64),
        ..Range::default()
    }
}
