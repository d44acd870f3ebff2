//! Pages of a list that is held as a whole, in the order of its paths.

use serde_json::Value;

use super::{Listed, PAGE, Page};
use crate::job::{Class, Failure};

/// Returns the page behind a position, which is the last path of the page before; `source` names the list in an error.
///
/// # Errors
/// When the position is not a path.
pub(super) fn page<T>(
    source: &str,
    items: &[T],
    position: Option<&Value>,
    path: impl Fn(&T) -> &str,
    listed: impl Fn(&T) -> Listed,
) -> Result<Page, Failure> {
    let begin = match position {
        None => 0,
        Some(Value::String(last)) => items.partition_point(|item| path(item) <= last.as_str()),
        Some(_) => {
            let message = format!("the cursor is not one of {source}");
            return Err(Failure::new(Class::Internal, "CURSOR_FOREIGN", message));
        }
    };
    let rest = items.get(begin..).unwrap_or_default();
    let (now, later) = rest.split_at(rest.len().min(PAGE));
    let next = now.last().filter(|_| !later.is_empty());
    Ok(Page {
        items: now.iter().map(listed).collect(),
        next: next.map(|item| Value::String(path(item).to_owned())),
        estimate: u64::try_from(items.len()).ok(),
        bytes: 0,
        state: None,
        restarted: false,
    })
}
