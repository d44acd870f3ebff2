//! What happened: events, their one spelling, and the chain that they make.
//!
//! Everything here is pure. [`crate::store::audit`] appends an event in the transaction of what it tells of;
//! [`chain`] says whether what is stored is what was written; [`checkpoint`] are the signed marks outside of the database
//! without which a chain that was written anew as a whole would pass.

pub mod chain;
pub mod checkpoint;
pub mod csv;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::hex::hex;

use crate::canonical;

/// Longest text of an event that comes from outside, in bytes; the rest is cut off.
const LONGEST: usize = 512;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AuditOutcome)]
pub enum Outcome {
    /// It was allowed and done.
    Allow,
    /// It was refused.
    Deny,
}

impl Outcome {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Who did it, as far as the request says.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// `user`, `agent` or `system`.
    pub kind: &'static str,
    /// The subject.
    pub id: String,
    /// Whom an agent acts for.
    pub on_behalf_of: Option<String>,
    /// The roles in force at that moment.
    pub roles: Vec<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// By which kind of client: `X-Aeterna-Client-Kind`.
    pub via: Option<String>,
    /// The client's own name for itself.
    pub user_agent: Option<String>,
}

impl Actor {
    /// The service itself, in work that nobody asked for.
    #[must_use]
    pub fn system() -> Self {
        Self {
            kind: "system",
            id: "governance-service".to_owned(),
            ..Self::default()
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who did it.
    pub actor: Actor,
    /// What: `policy.create`.
    pub action: String,
    /// The kind of thing it was done to, and its id.
    pub target: (&'static str, String),
    /// What became of it.
    pub outcome: Outcome,
    /// The decision that allowed or refused it.
    pub decision_id: Option<Uuid>,
    /// Anything else: integers and strings, no fractions.
    pub details: Map<String, Value>,
}

/// Where in its tenant's chain an event stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// Its number, from 1.
    pub seq: i64,
    /// The hash of the event before it.
    pub prev_hash: &'a [u8],
    /// When, after the chain was locked.
    pub at: Timestamp,
}

impl Event {
    /// Writes the event in its one spelling; this is what is hashed and kept.
    #[must_use]
    pub fn spell(&self, place: Place<'_>) -> String {
        let who = &self.actor;
        let value = json!({
            "v": 1,
            "tenantId": place.tenant,
            "seq": place.seq,
            "prevHash": hex(place.prev_hash),
            "at": spell_time(place.at),
            "actor": {"type": who.kind, "id": cut(&who.id), "onBehalfOf": who.on_behalf_of.as_deref().map(cut), "roles": who.roles},
            "action": self.action,
            "target": {"type": self.target.0, "id": cut(&self.target.1)},
            "outcome": self.outcome.name(),
            "requestId": who.request_id.as_deref().map(cut),
            "via": who.via.as_deref().map(cut),
            "userAgent": who.user_agent.as_deref().map(cut),
            "decisionId": self.decision_id,
            "details": self.details,
        });
        canonical::write(&value)
    }
}

/// Writes a time so that the order of texts is that of times; microseconds, as the database keeps them.
#[must_use]
pub fn spell_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_whatever_they_are() {
        let spelt = |text: &str| spell_time(text.parse().expect("a time"));
        assert_eq!(spelt("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000Z");
        assert_eq!(spelt("2026-01-02T03:04:05.1234567Z"), "2026-01-02T03:04:05.123456Z");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ü".repeat(400);
        assert_eq!(cut(&long), "ü".repeat(256));
    }
}
