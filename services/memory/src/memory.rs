//! A memory as callers see it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::layer::Layer;

/// Whether a memory is found by a vector search already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// It is.
    Indexed,
    /// It will be soon; a keyword search finds it now.
    Pending,
}

/// A stored memory.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Its id, unique within the tenant.
    pub id: Uuid,
    /// The tenant.
    pub tenant_id: String,
    /// The text.
    pub content: String,
    /// Whose memory it is.
    pub layer: Layer,
    /// Which user, agent, session, …
    pub identifiers: BTreeMap<String, String>,
    /// What the writer added.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Labels to search by.
    pub tags: Vec<String>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<f32>,
    /// Rises with every change.
    pub version: i64,
    /// SHA-256 of the content, as hex.
    pub content_hash: String,
    /// The model of its embedding.
    pub embedding_model: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it dies by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl Memory {
    /// Returns the entity tag: the version, which no two states of a memory share.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}
