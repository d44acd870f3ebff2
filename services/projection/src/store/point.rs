//! The shape of a point.

use std::collections::HashMap;

use qdrant_client::qdrant::{NamedVectors, PointStruct, Value, Vector};
use uuid::Uuid;

use aeterna_kit::hex::hex;

use super::{Stamp, VECTOR};
use crate::truth::{Row, State};

/// The tenant's id.
pub const TENANT: &str = "tenant";
/// The projection that the point belongs to.
pub const GENERATION: &str = "generation";
/// The version of the row.
pub const VERSION: &str = "version";
/// SHA-256 of the content, as lower-case hex.
pub const HASH: &str = "hash";
/// `true` in a marker.
pub const DELETED: &str = "deleted";
/// The layer.
pub const LAYER: &str = "layer";
/// The tags.
pub const TAGS: &str = "tags";
/// The identifiers, each as `name=value`.
pub const IDENTIFIERS: &str = "identifiers";
/// Only in the reserved point: the identity of the shard.
pub const IDENTITY: &str = "identity";

/// The id of the reserved point.
pub const RESERVED: Uuid = Uuid::nil();

/// Builds a row's point: with its vector when it lives, a marker when it is deleted.
#[must_use]
pub fn build_point(row: &Row, stamp: &Stamp<'_>) -> PointStruct {
    let mut payload: HashMap<String, Value> = HashMap::from([
        (TENANT.to_owned(), stamp.tenant.as_str().into()),
        (GENERATION.to_owned(), stamp.generation.0.into()),
        (VERSION.to_owned(), row.version.into()),
    ]);
    let vectors = match row.state {
        State::Live => {
            payload.insert(HASH.to_owned(), hex(&row.content_hash).into());
            payload.insert(LAYER.to_owned(), row.layer.clone().into());
            if !row.tags.is_empty() {
                payload.insert(TAGS.to_owned(), row.tags.clone().into());
            }
            let identifiers: Vec<String> = pairs(&row.identifiers);
            if !identifiers.is_empty() {
                payload.insert(IDENTIFIERS.to_owned(), identifiers.into());
            }
            HashMap::from([(VECTOR.to_owned(), Vector::new_dense(row.embedding.clone()))])
        }
        State::Deleted => {
            payload.insert(DELETED.to_owned(), true.into());
            HashMap::new()
        }
    };
    PointStruct {
        id: Some(row.point_id.to_string().into()),
        payload,
        vectors: Some(NamedVectors { vectors }.into()),
    }
}

/// Puts an identifier into one keyword; names have no `=`.
#[must_use]
pub fn pair(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn pairs(identifiers: &serde_json::Value) -> Vec<String> {
    let all = identifiers.as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some(pair(name, value.as_str()?)))
        .collect()
}
