//! An item: what it is made of, in which order it lives, and what may be done to it.
//!
//! Pure. [`front_matter`] reads and writes items as Markdown; [`draft`] makes a [`Snapshot`] of what a caller sends;
//! [`change`] decides what a write does. How items are kept is [`crate::store`]'s.

pub mod change;
pub mod draft;
pub mod front_matter;
pub mod kind;
pub mod layer;
pub mod status;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::hex::hex;

pub use kind::{Kind, Severity};
pub use layer::Layer;
pub use status::Status;

/// What an item says about itself; all of it goes into its front matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// Its title.
    pub title: String,
    /// What it is.
    pub kind: Kind,
    /// Whom it speaks to.
    pub layer: Layer,
    /// Where it is in its life.
    pub status: Status,
    /// How much it matters that it is followed.
    pub severity: Severity,
    /// What it says, in a sentence or two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Labels to search by.
    pub tags: Vec<String>,
    /// The path of the item that this one takes the place of once it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Anything else.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// What an item says at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// About itself.
    pub attributes: Attributes,
    /// Its text, Markdown without front matter; ends with a line end.
    pub body: String,
}

impl Snapshot {
    /// Returns the hash of all that it says.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // A map of JSON may keep the order of its keys; what is said does not depend on it.
        let mut attributes = serde_json::to_value(&self.attributes).unwrap_or_default();
        attributes.sort_all_objects();
        hash.update(attributes.to_string());
        hash.update([0]);
        hash.update(&self.body);
        hash.finalize().into()
    }
}

/// An item as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its row.
    pub id: Uuid,
    /// Where it is.
    pub path: String,
    /// What it says.
    pub snapshot: Snapshot,
    /// Rises with every change, also over a deletion.
    pub version: i64,
    /// The hash of what it says.
    pub hash: Vec<u8>,
    /// The path of the item that took its place.
    pub superseded_by: Option<String>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// It was deleted; its versions are kept.
    pub deleted: bool,
}

/// An item as callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Where it is.
    pub path: String,
    /// What it says about itself.
    #[serde(flatten)]
    pub attributes: Attributes,
    /// Its text, Markdown without front matter.
    pub content: String,
    /// Rises with every change.
    pub version: i64,
    /// The hash of all that it says: `sha256:` and hex.
    pub content_hash: String,
    /// The path of the item that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<Stored> for Item {
    fn from(stored: Stored) -> Self {
        Self {
            path: stored.path,
            attributes: stored.snapshot.attributes,
            content: stored.snapshot.body,
            version: stored.version,
            content_hash: fingerprint(&stored.hash),
            superseded_by: stored.superseded_by,
            author: stored.author,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// Returns a hash of what an item says, as callers see it.
#[must_use]
pub fn fingerprint(hash: &[u8]) -> String {
    format!("sha256:{}", hex(hash))
}
