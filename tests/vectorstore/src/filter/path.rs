//! Paths into a payload: `a.b`, `a[].b`, `a[0]`, `"a.b"`, as Qdrant reads them.
//!
//! A path may find several values (`[]` walks an array) or none. An array at the end of the path is one value:
//! whether its elements are looked at one by one is decided by the test, not by the path.

use qdrant_client::qdrant::{Value, value::Kind};

use super::Payload;
use crate::error::CallError;

/// A parsed path; its first step is always a key of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    first: String,
    rest: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Each,
}

impl Path {
    /// Parses a path.
    pub(crate) fn parse(text: &str) -> Result<Self, CallError> {
        let malformed = || CallError::wrong_input(format!("Invalid json path: '{text}'"));
        let (first, mut left) = parse_key(text).ok_or_else(malformed)?;
        let mut rest = Vec::new();
        while !left.is_empty() {
            let (step, after) = parse_step(left).ok_or_else(malformed)?;
            rest.push(step);
            left = after;
        }
        Ok(Self { first, rest })
    }

    /// Visits every value at this path and says whether there was any.
    pub(crate) fn visit<'a>(&self, payload: &'a Payload, visitor: &mut dyn FnMut(&'a Value)) -> bool {
        payload
            .get(&self.first)
            .is_some_and(|value| walk(value, &self.rest, visitor))
    }
}

fn walk<'a>(value: &'a Value, steps: &[Step], visitor: &mut dyn FnMut(&'a Value)) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        visitor(value);
        return true;
    };
    match (step, &value.kind) {
        (Step::Key(key), Some(Kind::StructValue(fields))) => {
            fields.fields.get(key).is_some_and(|next| walk(next, rest, visitor))
        }
        (Step::Index(index), Some(Kind::ListValue(list))) => {
            list.values.get(*index).is_some_and(|next| walk(next, rest, visitor))
        }
        (Step::Each, Some(Kind::ListValue(list))) => {
            let mut found = false;
            for next in &list.values {
                found |= walk(next, rest, visitor);
            }
            found
        }
        _ => false,
    }
}

fn parse_step(text: &str) -> Option<(Step, &str)> {
    if let Some(after) = text.strip_prefix("[]") {
        return Some((Step::Each, after));
    }
    if let Some(inside) = text.strip_prefix('[') {
        let (digits, after) = inside.split_once(']')?;
        return Some((Step::Index(digits.parse().ok()?), after));
    }
    let (key, after) = parse_key(text.strip_prefix('.')?)?;
    Some((Step::Key(key), after))
}

fn parse_key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, after) = quoted.split_once('"')?;
        return Some((key.to_owned(), after));
    }
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let end = text.find(|c| !is_plain(c)).unwrap_or(text.len());
    let (key, after) = text.split_at_checked(end)?;
    (!key.is_empty()).then(|| (key.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_qdrant_reads_it() {
        let path = Path::parse("foo[1].bar-baz[].\"qux[.]x\"").unwrap();
        assert_eq!(path.first, "foo");
        let key = |text: &str| Step::Key(text.to_owned());
        assert_eq!(path.rest, [Step::Index(1), key("bar-baz"), Step::Each, key("qux[.]x")]);
    }

    #[test]
    fn a_malformed_path_is_refused() {
        for text in ["", ".", "a..b", "a[", "a[x]", "a b", "\"a"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
