//! A job: one run over a connection. What a caller sees, what a worker needs, and its life.

pub mod failure;
pub mod status;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

pub use failure::{Class, Failure, Failures};
pub use status::{Event, Status};

/// How much of the source is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything is read again.
    Full,
    /// Only what the source says has changed since the last whole run.
    #[default]
    Incremental,
}

impl Mode {
    /// Returns its name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// What else a caller asked of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// More than a fifth of the items may vanish.
    pub allow_mass_delete: bool,
    /// Nothing is asked of the target.
    pub dry_run: bool,
    /// What the run may take.
    pub limits: Limits,
    /// Only this item: a rejected one that is tried again.
    pub only: Option<String>,
}

/// What a run may take; beyond, it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Items that the source may hold: 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_items: u64,
    /// Bytes that the run may read: 1 to 10 GiB.
    #[schema(minimum = 1)]
    pub max_bytes: u64,
    /// Seconds that the run may take from its first claim on, its pauses included: 1 to 604,800, a week. 14,400, four hours,
    /// unless said.
    #[schema(minimum = 1, maximum = 604_800)]
    pub max_seconds: u64,
}

impl Limits {
    /// The most that may be asked for.
    pub const MOST: Self = Self {
        max_items: 1_000_000,
        max_bytes: 10 << 30,
        max_seconds: 7 * 24 * 60 * 60,
    };

    /// Checks them.
    ///
    /// # Errors
    /// [`Code::InvalidBody`] at the field that does not fit.
    pub fn check(&self) -> Result<(), Problem> {
        let refuse = |name: &str, most: u64| {
            let message = format!("{name} is 1 to {most}");
            Problem::field(Code::InvalidBody, format!("/limits/{name}"), message)
        };
        if !(1..=Self::MOST.max_items).contains(&self.max_items) {
            return Err(refuse("maxItems", Self::MOST.max_items));
        }
        if !(1..=Self::MOST.max_bytes).contains(&self.max_bytes) {
            return Err(refuse("maxBytes", Self::MOST.max_bytes));
        }
        if !(1..=Self::MOST.max_seconds).contains(&self.max_seconds) {
            return Err(refuse("maxSeconds", Self::MOST.max_seconds));
        }
        Ok(())
    }
}

impl Default for Limits {
    /// What a documentation tree of a large company fits in.
    fn default() -> Self {
        Self {
            max_items: 100_000,
            max_bytes: 1 << 30,
            max_seconds: 4 * 60 * 60,
        }
    }
}

/// What a run has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Items looked at.
    pub processed: u64,
    /// Items that the target did not have.
    pub added: u64,
    /// Items that the target had otherwise.
    pub updated: u64,
    /// Items that left the source, and the target.
    pub deleted: u64,
    /// Items that the target has already.
    pub unchanged: u64,
    /// Items that the target cannot take; `GET /api/v1/sync/rejects` tells why.
    pub rejected: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Items that there are in all, as far as the source can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u64>,
}

/// What a whole run found in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outcome {
    /// SHA-256 over the ids and content hashes of all that is delivered, in the order of the ids.
    pub digest: String,
}

/// A job as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job.
    pub id: Uuid,
    /// What it runs over.
    pub connection_id: Uuid,
    /// Where it is in its life.
    pub status: Status,
    /// How much of the source it looks at.
    pub mode: Mode,
    /// Whether it only tells what it would do.
    pub dry_run: bool,
    /// How often a worker took it.
    pub attempt: i32,
    /// What it has done; of a dry run what it would have.
    pub progress: Progress,
    /// Why it stopped last, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<failure::Shown>,
    /// What it found in the end; nothing for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// When somebody asked for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub cancel_requested_at: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// Who started it.
    pub created_by: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a worker took it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When its worker was heard of last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub heartbeat_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// Rises with every change above.
    #[serde(skip)]
    pub revision: i64,
}
