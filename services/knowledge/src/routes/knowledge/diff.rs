//! What changed between two versions of an item.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use std::time::Duration;
use utoipa::ToSchema;

use aeterna_kit::problem::Problem;

use super::get::Asked;
use crate::item::{Stored, front_matter};
use crate::path::ItemPath;

/// After so long a difference is coarse rather than small.
const PATIENCE: Duration = Duration::from_millis(200);

/// What changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The item's path.
    pub path: String,
    /// The older version.
    pub from: i64,
    /// The newer version.
    pub to: i64,
    /// Lines that the newer has more.
    pub added: usize,
    /// Lines that it has no more.
    pub removed: usize,
    /// The difference of the two Markdown files, in the unified form.
    pub diff: String,
}

/// Compares two versions.
pub(super) async fn between(asked: &Asked<'_>, path: &ItemPath, stored: &Stored) -> Result<Difference, Problem> {
    let to = asked.options.to.unwrap_or(stored.version);
    let from = asked.options.from.unwrap_or(to.saturating_sub(1));
    let newer = asked.fetch_version(path, to).await?;
    let older = asked.fetch_version(path, from).await?;
    Ok(compare(&older, &newer))
}

fn compare(older: &Stored, newer: &Stored) -> Difference {
    let (old, new) = (
        front_matter::render(&older.snapshot),
        front_matter::render(&newer.snapshot),
    );
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&old, &new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let name = |stored: &Stored| format!("{}@{}", stored.path, stored.version);
    Difference {
        path: newer.path.clone(),
        from: older.version,
        to: newer.version,
        added: count(ChangeTag::Insert),
        removed: count(ChangeTag::Delete),
        diff: diff.unified_diff().header(&name(older), &name(newer)).to_string(),
    }
}
