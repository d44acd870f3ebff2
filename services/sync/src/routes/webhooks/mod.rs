//! `/api/v1/sync/webhooks`: deliveries that start jobs, and who sets where they are taken.

pub mod delete;
pub mod get;
pub mod put;
pub mod receive;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};

use crate::store::Webhook;

/// A webhook and where its deliveries are taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownWebhook)]
pub struct Shown {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The path that deliveries are posted to.
    pub path: String,
}

/// Shows a webhook to its tenant.
fn show(caller: &Caller, webhook: Webhook) -> Shown {
    let (tenant, connection) = (caller.scope.tenant(), webhook.connection_id);
    Shown {
        path: format!("/api/v1/sync/webhooks/{tenant}/{connection}"),
        webhook,
    }
}

/// The problem of a connection without a webhook.
fn no_webhook(connection: Uuid) -> Problem {
    Problem::new(
        Code::WebhookNotFound,
        format!("the tenant has no webhook of a connection {connection}"),
    )
}
