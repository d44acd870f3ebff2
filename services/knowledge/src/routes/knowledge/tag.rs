//! Entity tags and what callers demand by them (RFC 9110).
//!
//! An item's tag is its version, which no two states of an item share, and the form that it is read in. A write takes the tag
//! of either form: both name the same state.

use axum::http::{HeaderMap, HeaderName, header};

use aeterna_kit::problem::{Code, Problem};

use crate::item::change::Precondition;

/// What the tag of a Markdown file ends with.
const FILE: &str = "-md";

/// The form that an item is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON.
    Json,
    /// A Markdown file.
    File,
}

/// Returns a version's entity tag in a form.
pub(super) fn etag(version: i64, form: Form) -> String {
    match form {
        Form::Json => format!("\"{version}\""),
        Form::File => format!("\"{version}{FILE}\""),
    }
}

/// Reads what a write demands of what is there.
pub(super) fn demanded(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let (matching, none) = (
        text(headers, &header::IF_MATCH)?,
        text(headers, &header::IF_NONE_MATCH)?,
    );
    match (matching, none) {
        (None, None) => Ok(Precondition::Unsaid),
        (Some("*"), None) => Ok(Precondition::Present),
        (None, Some("*")) => Ok(Precondition::Absent),
        (Some(tag), None) => version(tag).map(Precondition::Version).ok_or_else(|| {
            let message = "send one entity tag as it was in ETag, such as \"7\", or *";
            Problem::field(Code::InvalidHeader, "If-Match", message)
        }),
        (None | Some(_), Some(_)) => Err(Problem::field(
            Code::InvalidHeader,
            "If-None-Match",
            "a write takes If-None-Match: * alone, or If-Match",
        )),
    }
}

/// Tells whether the caller of a read has this version already, in this form.
pub(super) fn is_known(headers: &HeaderMap, current: i64, form: Form) -> bool {
    let Ok(Some(tags)) = text(headers, &header::IF_NONE_MATCH) else {
        return false;
    };
    tags == "*"
        || tags
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == etag(current, form))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let value = headers.get(name).map(|value| value.to_str().map(str::trim)).transpose();
    value.map_err(|_| Problem::field(Code::InvalidHeader, name.as_str(), "an entity tag is text"))
}

fn version(tag: &str) -> Option<i64> {
    let inside = tag.strip_prefix('"')?.strip_suffix('"')?;
    inside.strip_suffix(FILE).unwrap_or(inside).parse().ok()
}
