//! Entity tags and what callers demand by them (RFC 9110).
//!
//! An item's tag is its version, which no two states of an item share, whichever form it is read in.

use axum::http::{HeaderMap, HeaderName, header};

use aeterna_kit::problem::{Code, Problem};

use crate::item::change::Precondition;

/// Returns a version's entity tag.
pub(super) fn etag(version: i64) -> String {
    format!("\"{version}\"")
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

/// Tells whether the caller of a read has this version already.
pub(super) fn is_known(headers: &HeaderMap, current: i64) -> bool {
    let Ok(Some(tags)) = text(headers, &header::IF_NONE_MATCH) else {
        return false;
    };
    tags == "*"
        || tags
            .split(',')
            .any(|tag| version(tag.trim().trim_start_matches("W/")) == Some(current))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let value = headers.get(name).map(|value| value.to_str().map(str::trim)).transpose();
    value.map_err(|_| Problem::field(Code::InvalidHeader, name.as_str(), "an entity tag is text"))
}

fn version(tag: &str) -> Option<i64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}
