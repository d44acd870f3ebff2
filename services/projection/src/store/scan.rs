//! Reading points back, for verification.

use std::time::Duration;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::vector_output::Vector;
use qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Filter, GetPointsBuilder, PointId, RetrievedPoint, ScrollPointsBuilder,
};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;
use aeterna_tenancy::Generation;
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;

use super::payload::{integer, is_true, text};
use super::point::{DELETED, GENERATION, HASH, TENANT, VERSION};
use super::search::from;
use super::{Result, Store, VECTOR};

/// A point as it is in a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its id.
    pub point_id: Uuid,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Its generation.
    pub generation: i64,
    /// Its version.
    pub version: i64,
    /// SHA-256 of the content, as lower-case hex; none in a marker.
    pub hash: Option<String>,
    /// It is a marker.
    pub deleted: bool,
    /// Its vector, normalised; none in a marker, or when it was not asked for.
    pub vector: Option<Vec<f32>>,
}

impl Store {
    /// Reads a page of the tenant's points of generation `floor` and above, markers too, with `point_id > after`, in the
    /// order of point ids.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn scan(
        &self,
        collection: &str,
        tenant: &TenantId,
        floor: Generation,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Found>> {
        let filter = Filter::must([
            Condition::matches(TENANT, tenant.as_str().to_owned()),
            Condition::range(GENERATION, from(floor)),
        ]);
        let mut request = ScrollPointsBuilder::new(collection)
            .filter(filter)
            // The offset is inclusive; one more than asked for makes up for it.
            .limit(limit.saturating_add(1))
            .with_payload(true)
            .with_vectors(true);
        if let Some(after) = after {
            request = request.offset(after.to_string());
        }
        let reply = self
            .bounded("list points", collection, REQUEST_DEADLINE, self.client.scroll(request))
            .await?;
        let mut found: Vec<Found> = reply
            .result
            .into_iter()
            .filter_map(read)
            .filter(|point| Some(point.point_id) > after)
            .collect();
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Reads some points with their vectors, whoever's they are.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn fetch(&self, collection: &str, points: &[Uuid], deadline: Duration) -> Result<Vec<Found>> {
        self.retrieve(collection, points, SelectorOptions::Enable(true), deadline)
            .await
    }

    /// Reads some points without their vectors.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn fetch_payloads(&self, collection: &str, points: &[Uuid], deadline: Duration) -> Result<Vec<Found>> {
        self.retrieve(collection, points, SelectorOptions::Enable(false), deadline)
            .await
    }

    async fn retrieve(
        &self,
        collection: &str,
        points: &[Uuid],
        vectors: SelectorOptions,
        deadline: Duration,
    ) -> Result<Vec<Found>> {
        let ids: Vec<PointId> = points.iter().map(|point| point.to_string().into()).collect();
        let request = GetPointsBuilder::new(collection, ids)
            .with_payload(true)
            .with_vectors(vectors);
        let reply = self
            .bounded("read points", collection, deadline, self.client.get_points(request))
            .await?;
        Ok(reply.result.into_iter().filter_map(read).collect())
    }

    /// Counts the tenant's live points of generation `floor` and above, exactly.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn count(&self, collection: &str, tenant: &TenantId, floor: Generation) -> Result<u64> {
        let filter = Filter {
            must: vec![
                Condition::matches(TENANT, tenant.as_str().to_owned()),
                Condition::range(GENERATION, from(floor)),
            ],
            must_not: vec![Condition::matches(DELETED, true)],
            ..Filter::default()
        };
        let request = CountPointsBuilder::new(collection).filter(filter).exact(true);
        let reply = self
            .bounded("count points", collection, REQUEST_DEADLINE, self.client.count(request))
            .await?;
        Ok(reply.result.map_or(0, |result| result.count))
    }
}

/// Returns a point's UUID; `None` for a numeric id, which is never ours.
pub(super) fn parse_id(id: Option<PointId>) -> Option<Uuid> {
    match id?.point_id_options? {
        PointIdOptions::Uuid(text) => Uuid::parse_str(&text).ok(),
        PointIdOptions::Num(_) => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "maps over owned points")]
fn read(point: RetrievedPoint) -> Option<Found> {
    let point_id = parse_id(point.id.clone())?;
    let vector = point
        .vectors
        .as_ref()
        .and_then(|vectors| vectors.get_vector_by_name(VECTOR));
    let vector = vector.and_then(|vector| match vector {
        Vector::Dense(dense) => Some(dense.data),
        Vector::Sparse(_) | Vector::MultiDense(_) => None,
    });
    let payload = &point.payload;
    Some(Found {
        point_id,
        tenant: text(payload, TENANT).map(str::to_owned),
        generation: integer(payload, GENERATION).unwrap_or_default(),
        version: integer(payload, VERSION).unwrap_or_default(),
        hash: text(payload, HASH).map(str::to_owned),
        deleted: is_true(payload, DELETED),
        vector,
    })
}
