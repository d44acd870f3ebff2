//! A folder's listing.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use aeterna_kit::page;
use aeterna_kit::problem::Problem;
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::get::Asked;
use crate::path::FolderPath;
use crate::permissions::about;
use crate::store;

/// What lies in a folder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The folder, with a slash at its end; the root is empty.
    pub folder: String,
    /// By name; without what the tenant's policies keep from the caller.
    pub entries: Vec<Entry>,
    /// Where to go on; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// An item or a folder in a folder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its path; a folder's has a slash at its end.
    pub path: String,
    /// What it is; nothing for a folder.
    #[serde(flatten)]
    pub item: Option<Head>,
}

/// What a listing says about an item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its layer.
    pub layer: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: i64,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Entries that are looked at together where policies may hide some.
const LOOKED_AT: u16 = 200;

/// Lists a folder.
pub(super) async fn list(asked: &Asked<'_>, folder: &FolderPath) -> Result<Listing, Problem> {
    let (limit, prefix) = (asked.limit()?, folder.prefix());
    let scope = &asked.by.scope;
    let pages = page::List::new(scope.tenant(), &format!("folder {prefix}"));
    let from = pages.position(asked.options.cursor.as_deref())?.unwrap_or_default();
    let mut shown = visible(asked, folder, from, limit).await?;
    let next_cursor = page::cut(&mut shown, limit).map(|(_, after)| pages.cursor(after));
    Ok(Listing {
        folder: prefix,
        entries: shown.into_iter().map(|(entry, _)| entry).collect(),
        next_cursor,
    })
}

/// Finds what the caller may see, one more than asked for if there is more, each with the place behind it. It goes on until
/// that is filled: a page that ended at something hidden would tell of it by its cursor.
async fn visible(
    asked: &Asked<'_>,
    folder: &FolderPath,
    mut from: String,
    limit: u16,
) -> Result<Vec<(Entry, String)>, Problem> {
    let (state, by, prefix) = (asked.state, asked.by, folder.prefix());
    let most = if by.judge.is_selective() {
        limit.max(LOOKED_AT)
    } else {
        limit
    };
    let mut shown = Vec::new();
    loop {
        let found = store::list(&state.pool, &by.scope, &by.rights, folder, &from, i32::from(most) + 1)
            .await
            .map_err(|error| Problem::database(&error))?;
        let is_end = found.len() <= usize::from(most);
        for entry in found {
            from.clone_from(&entry.after);
            let after = entry.after.clone();
            let entry = show(&prefix, entry);
            if may_see(&by.judge, &entry) {
                shown.push((entry, after));
            }
        }
        if is_end || shown.len() > usize::from(limit) {
            return Ok(shown);
        }
    }
}

fn may_see(judge: &Judge, entry: &Entry) -> bool {
    let what = match &entry.item {
        Some(head) => [head.kind.as_str(), &head.layer, &head.status],
        None => [""; 3],
    };
    judge.allows(about(action::KNOWLEDGE_READ, &entry.path, what))
}

fn show(prefix: &str, entry: store::Entry) -> Entry {
    let slash = if entry.item.is_some() { "" } else { "/" };
    Entry {
        path: format!("{prefix}{}{slash}", entry.name),
        item: entry.item.map(|head| Head {
            title: head.title,
            kind: head.kind,
            layer: head.layer,
            status: head.status,
            version: head.version,
            updated_at: head.updated_at,
        }),
    }
}
