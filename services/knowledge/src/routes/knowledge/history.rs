//! An item's versions.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use aeterna_kit::page;
use aeterna_kit::problem::Problem;
use aeterna_policy::rbac::action;

use super::get::Asked;
use crate::item::{Stored, fingerprint};
use crate::permissions::about;
use crate::store;

/// An item's versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The item's path.
    pub path: String,
    /// The newest first.
    pub versions: Vec<Version>,
    /// Where to go on; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The version.
    pub version: i64,
    /// What was done: created, changed, moved (to another status), superseded, deleted.
    pub action: String,
    /// The status then.
    pub status: String,
    /// The hash of all that it said: `sha256:` and hex.
    pub content_hash: String,
    /// What its author said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who did it.
    pub author: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Lists an item's versions.
pub(super) async fn list(asked: &Asked<'_>, stored: &Stored) -> Result<History, Problem> {
    let limit = asked.limit()?;
    let scope = &asked.by.scope;
    let pages = page::List::new(scope.tenant(), &format!("history {}", stored.path));
    let below = pages.place(asked.options.cursor.as_deref())?.unwrap_or(i64::MAX);
    let most = i64::from(limit) + 1;
    let mut found = store::history(&asked.state.pool, scope, stored.id, &asked.by.rights, below, most).await?;
    let next_cursor = page::cut(&mut found, limit).map(|last| pages.cursor(&last.version.to_string()));
    // Each by what it was then: what is forbidden now may have been written before.
    found.retain(|past| {
        let what = [past.kind.as_str(), &past.layer, &past.status];
        let about = about(action::KNOWLEDGE_READ, &stored.path, what);
        asked.by.judge.allows(about)
    });
    let show = |past: store::Past| Version {
        version: past.version,
        action: past.action,
        status: past.status,
        content_hash: fingerprint(&past.hash),
        message: past.message,
        author: past.author,
        created_at: past.created_at,
    };
    Ok(History {
        path: stored.path.clone(),
        versions: found.into_iter().map(show).collect(),
        next_cursor,
    })
}
