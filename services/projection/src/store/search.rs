//! Searching by rule R5.

use std::collections::BTreeMap;
use std::time::Duration;

use qdrant_client::qdrant::{Condition, Filter, QueryPointsBuilder, Range};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;
use aeterna_tenancy::Generation;

use super::point::{DELETED, GENERATION, IDENTIFIERS, LAYER, TAGS, TENANT, pair};
use super::scan::parse_id;
use super::{Result, Store, VECTOR};

/// What to look for. Layers, identifiers and tags only narrow the candidates; the caller applies them again in SQL.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Whose memories.
    pub tenant: &'a TenantId,
    /// The route's floor.
    pub floor: Generation,
    /// The query's vector.
    pub vector: Vec<f32>,
    /// Only these layers; all when empty.
    pub layers: &'a [String],
    /// Only memories with all of these identifiers.
    pub identifiers: &'a BTreeMap<String, String>,
    /// Only memories with all of these tags.
    pub tags: &'a [String],
    /// At most this many.
    pub limit: u64,
    /// Only at or above this cosine similarity.
    pub threshold: Option<f32>,
}

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The point.
    pub point_id: Uuid,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
}

impl Store {
    /// Finds the nearest points of a tenant, best first.
    ///
    /// # Errors
    /// [`super::Error::MissingCollection`]: read the route again; [`super::Error::Unavailable`].
    pub async fn search(&self, collection: &str, search: Search<'_>, deadline: Duration) -> Result<Vec<Hit>> {
        let filter = build_filter(&search);
        let mut request = QueryPointsBuilder::new(collection)
            .query(search.vector)
            .using(VECTOR)
            .filter(filter)
            .limit(search.limit)
            .with_payload(false);
        if let Some(threshold) = search.threshold {
            request = request.score_threshold(threshold);
        }
        let reply = self
            .bounded("search", collection, deadline, self.client.query(request))
            .await?;
        Ok(reply
            .result
            .into_iter()
            .filter_map(|point| {
                Some(Hit {
                    point_id: parse_id(point.id)?,
                    score: point.score,
                })
            })
            .collect())
    }
}

/// Rule R5, and the caller's narrowing.
fn build_filter(search: &Search<'_>) -> Filter {
    let mut must = vec![
        Condition::matches(TENANT, search.tenant.as_str().to_owned()),
        Condition::range(GENERATION, from(search.floor)),
    ];
    if !search.layers.is_empty() {
        must.push(Condition::matches(LAYER, search.layers.to_vec()));
    }
    let identifiers = search.identifiers.iter().map(|(name, value)| pair(name, value));
    must.extend(identifiers.map(|pair| Condition::matches(IDENTIFIERS, pair)));
    must.extend(search.tags.iter().map(|tag| Condition::matches(TAGS, tag.clone())));
    Filter {
        must,
        must_not: vec![Condition::matches(DELETED, true)],
        ..Filter::default()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "exact below 2^53: incarnations below 2^13"
)]
pub(super) fn from(floor: Generation) -> Range {
    Range {
        gte: Some(floor.0 as f64),
        ..Range::default()
    }
}
