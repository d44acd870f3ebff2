//! A request as callers see it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::approval::machine::Roles;
use crate::approval::rules::Risk;
use crate::approval::{Status, Verdict};
use crate::engine::Scope;
use crate::rbac::Role;
use crate::store::approvals::{Given, Stored};

/// A request for approval.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Approval)]
pub struct View {
    /// Its id.
    pub id: Uuid,
    /// Its number in the tenant.
    pub request_number: String,
    /// What it is about: policy, knowledge, memory, role, config, tenant_migration or sync.
    pub request_type: String,
    /// The kind of thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Where in the organisation.
    pub scope: Scope,
    /// Its title.
    pub title: String,
    /// For readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What will be done.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// SHA-256 of the payload in its one spelling: what is voted on and applied.
    pub payload_hash: String,
    /// Which payload in its life that is, from 1; rises with every amendment.
    pub revision: i32,
    /// How much harm it can do.
    pub risk_level: Risk,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Who made it.
    pub requested_by: String,
    /// The human behind it.
    pub requester: String,
    /// What has become of it.
    pub status: Status,
    /// It was approved without a quorum.
    pub broken_glass: bool,
    /// What the emergency was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
    /// Who applied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_by: Option<String>,
    /// The one application of it. Whoever carries it out elsewhere sends this as the idempotency key, so that a second try
    /// does nothing twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<Uuid>,
    /// The steps, with the votes that are good now. Served in order.
    pub steps: Vec<Counted>,
    /// How many approvals it takes in all.
    pub required_approvals: u32,
    /// How many are good now.
    pub current_approvals: usize,
    /// The votes, those for earlier payloads as well.
    pub decisions: Vec<Decision>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its time is over.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
}

/// A step and its votes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// How many different people.
    pub required: u32,
    /// Who hold one of these roles, or a higher one.
    pub roles: Vec<Role>,
    /// How many good votes it has now.
    pub approved: usize,
}

/// A vote.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Its id.
    pub id: Uuid,
    /// The human who gave it.
    pub approver_id: String,
    /// What it says.
    pub decision: Verdict,
    /// The step it was given in, from 0.
    pub step: usize,
    /// The payload it was given to.
    pub payload_hash: String,
    /// Which payload in the request's life that was.
    pub revision: i32,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl Decision {
    fn of(given: Given) -> Self {
        Self {
            id: given.id,
            approver_id: given.vote.by,
            decision: given.vote.verdict,
            step: given.vote.step,
            payload_hash: given.vote.payload.hash,
            revision: given.vote.payload.number,
            comment: given.comment,
            created_at: given.created_at,
        }
    }
}

impl View {
    /// Shows a request; `roles` are those that its voters hold now.
    #[must_use]
    pub fn of(stored: Stored, given: Vec<Given>, roles: Roles<'_>) -> Self {
        let core = &stored.core;
        let count = |(n, step): (usize, &crate::approval::Step)| Counted {
            required: step.required,
            roles: step.roles.clone(),
            approved: core.count(n, roles),
        };
        let steps: Vec<Counted> = core.steps.iter().enumerate().map(count).collect();
        let (application_id, applied_by) = stored.application.unzip();
        Self {
            id: stored.id,
            request_number: stored.number,
            request_type: stored.request_type,
            target_type: stored.target.0,
            target_id: stored.target.1,
            scope: stored.scope,
            title: stored.title,
            description: stored.description,
            payload: serde_json::from_str(&stored.payload).unwrap_or_default(),
            payload_hash: core.payload.hash.clone(),
            revision: core.payload.number,
            risk_level: stored.risk,
            justification: stored.justification,
            requested_by: core.requested_by.clone(),
            requester: core.requester.clone(),
            status: core.status,
            broken_glass: stored.broken_glass.is_some(),
            emergency: stored.broken_glass,
            applied_by,
            application_id,
            required_approvals: steps.iter().map(|step| step.required).sum(),
            current_approvals: steps.iter().map(|step| step.approved).sum(),
            steps,
            decisions: given.into_iter().map(Decision::of).collect(),
            created_at: stored.created_at,
            expires_at: core.expires_at,
            resolved_at: stored.resolved_at,
        }
    }
}

/// What the audit log is told about a request; never its payload, only the hash.
#[must_use]
pub fn details(stored: &Stored, more: &[(&str, Value)]) -> Map<String, Value> {
    let always = [
        ("requestNumber", json!(stored.number)),
        ("requestType", json!(stored.request_type)),
        ("riskLevel", json!(stored.risk)),
        ("scope", json!(stored.scope)),
        ("payloadHash", json!(stored.core.payload.hash)),
        ("revision", json!(stored.core.payload.number)),
    ];
    let all = always.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
