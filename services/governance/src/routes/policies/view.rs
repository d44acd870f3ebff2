//! A policy as callers see it, and what the writing endpoints share.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

use crate::beside::beside;
use crate::engine::compiled;
use crate::policy::{Document, Status, untold};
use crate::store::policies::{Stored, fetch_active, measure_active};
use crate::store::{OrProblem as _, Scoped};

/// Most active policies of a tenant: each costs time in every decision that it may speak about.
const ACTIVE: i64 = 1_000;

/// Most rules in them: each keeps its compiled patterns once something was held against it.
const PATTERNS: i64 = 5_000;

/// Most bytes of them as JSON: each service fetches the set within two seconds.
const BYTES: i64 = 4 << 20;

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredPolicy)]
pub struct View {
    /// The policy.
    pub id: Uuid,
    /// The version.
    pub version: i32,
    /// What it says.
    #[serde(flatten)]
    pub document: Document,
    /// SHA-256 of what it says.
    pub content_hash: String,
    /// After a change: the hash of all active policies of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_set_hash: Option<String>,
    /// After a change: what the text asks about that no service tells at its own door. It counts in
    /// `POST /api/v1/policies/evaluate` alone; elsewhere it is missing. And that a policy never counts for knowledge, whose
    /// service tells one id of a place only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<String>,
    /// Who made the version.
    pub created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<Stored> for View {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id,
            version: stored.version,
            document: stored.document,
            content_hash: stored.content_hash,
            policy_set_hash: None,
            warnings: Vec::new(),
            created_by: stored.created_by,
            created_at: stored.created_at,
        }
    }
}

impl View {
    /// Makes the answer.
    #[must_use]
    pub fn respond(self, status: StatusCode) -> Response {
        let location = format!("/api/v1/policies/{}", self.id);
        let etag = format!("\"{}\"", self.version);
        (
            status,
            [(header::LOCATION, location), (header::ETAG, etag)],
            axum::Json(self),
        )
            .into_response()
    }

    /// What the audit log is told about the change.
    #[must_use]
    pub fn details(&self) -> Map<String, Value> {
        [
            ("name", json!(self.document.name)),
            ("version", json!(self.version)),
            ("status", json!(self.document.status)),
            ("contentHash", json!(self.content_hash)),
            ("policySetHash", json!(self.policy_set_hash)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// Shows a version that was just stored, with the hash of the set that it is now part of.
///
/// # Errors
/// Those of the database.
pub async fn show_changed(tx: &mut Scoped, stored: Stored) -> Result<View, Problem> {
    let (_, active) = fetch_active(tx).await.or_problem()?;
    let document = stored.document.clone();
    Ok(View {
        warnings: beside(move || untold::warnings(&document)).await?,
        policy_set_hash: Some(compiled::hash(&active)),
        ..View::from(stored)
    })
}

/// Checks a document beside the runtime: a long text takes milliseconds to parse and validate. After the decision, so it is
/// not done for who may not write policies.
///
/// # Errors
/// Those of [`Document::check`].
pub async fn check(document: &Document) -> Result<(), Problem> {
    let document = document.clone();
    beside(move || document.check()).await?
}

/// Refuses one more active policy than a tenant may have, and a set that would be too large; what was stored is dropped with
/// the transaction.
///
/// After the version was added, and not before: whoever adds one holds the tenant's set from then on, so nobody else's is
/// added between the measuring and the commit. (The order of locks is the request, the policy, the set, the log.)
///
/// # Errors
/// [`Code::InvalidBody`].
pub async fn check_room(tx: &mut Scoped, added: &Stored) -> Result<(), Problem> {
    let document = &added.document;
    if document.status != Status::Active {
        return Ok(());
    }
    let others = measure_active(tx, added.id).await.or_problem()?;
    let refuse = |message: String| Err(Problem::field(Code::InvalidBody, "/status", message));
    let own = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    if others.policies >= ACTIVE {
        return refuse(format!("a tenant has at most {ACTIVE} active policies"));
    }
    let patterns = document.rules.iter().map(|rule| 1 + rule.applies_to.len()).sum();
    if others.patterns.saturating_add(own(patterns)) > PATTERNS {
        let message = "the rules of a tenant's active policies have at most";
        return refuse(format!("{message} {PATTERNS} values and places that they apply to"));
    }
    if others.bytes.saturating_add(own(json!(document).to_string().len())) > BYTES {
        return refuse(format!("the active policies of a tenant have at most {BYTES} bytes"));
    }
    Ok(())
}

/// The version that `If-Match` names.
///
/// # Errors
/// [`Code::PreconditionRequired`] without it, [`Code::InvalidHeader`] when it is no version.
pub fn if_match(headers: &HeaderMap) -> Result<i32, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Problem::field(
            Code::PreconditionRequired,
            "If-Match",
            "send the ETag of the version that you change",
        ));
    };
    let version = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    version.ok_or_else(|| {
        Problem::field(
            Code::InvalidHeader,
            "If-Match",
            "one ETag, as the answers have it: \"3\"",
        )
    })
}

/// Refuses a change of another version than the one in force.
///
/// # Errors
/// [`Code::PreconditionFailed`].
pub fn require_version(current: i32, expected: i32) -> Result<(), Problem> {
    if current == expected {
        return Ok(());
    }
    let detail = format!("version {current} is in force, not {expected}");
    Err(Problem::field(Code::PreconditionFailed, "If-Match", detail))
}

/// The problem of a policy that is not there.
#[must_use]
pub fn absent(id: Uuid) -> Problem {
    Problem::new(
        Code::PolicyNotFound,
        format!("the tenant has no policy {id}, or no such version of it"),
    )
}
