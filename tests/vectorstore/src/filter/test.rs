//! What a field condition asks of the values at its path.
//!
//! The rules are those of Qdrant's payload checker: a test on an array holds if it holds for any element, an
//! integer is only equal to an integer, a range compares numbers as doubles (an `i64` above 2^53 is rounded, as
//! it is there), and a missing field fails every test but the ones about absence and counts.

use std::collections::HashSet;

use qdrant_client::qdrant::{Range, Value, ValuesCount, value::Kind};

use super::{Payload, path::Path};

/// A test on the values of one field.
#[derive(Debug)]
pub(crate) enum Test {
    Keyword(String),
    Boolean(bool),
    AnyKeyword(HashSet<String>),
    AnyInteger(HashSet<i64>),
    ExceptKeyword(HashSet<String>),
    ExceptInteger(HashSet<i64>),
    Range(Range),
    Count(ValuesCount),
    Empty(bool),
    Null(bool),
}

impl Test {
    /// Judges the field at `path` of a payload.
    pub(crate) fn holds(&self, path: &Path, payload: &Payload) -> bool {
        let mut any = false;
        let found = path.visit(payload, &mut |value| any = any || self.holds_for(value));
        if found { any } else { self.holds_for_missing() }
    }

    fn holds_for_missing(&self) -> bool {
        match self {
            Self::Empty(wanted) => *wanted,
            Self::Null(wanted) => !*wanted,
            Self::Count(bounds) => is_count_within(bounds, 0),
            Self::Keyword(_)
            | Self::Boolean(_)
            | Self::AnyKeyword(_)
            | Self::AnyInteger(_)
            | Self::ExceptKeyword(_)
            | Self::ExceptInteger(_)
            | Self::Range(_) => false,
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Empty(wanted) => is_empty(value) == *wanted,
            Self::Null(wanted) => has_null(value) == *wanted,
            Self::Count(bounds) => is_count_within(bounds, count_of(value)),
            Self::Keyword(_)
            | Self::Boolean(_)
            | Self::AnyKeyword(_)
            | Self::AnyInteger(_)
            | Self::ExceptKeyword(_)
            | Self::ExceptInteger(_)
            | Self::Range(_) => match elements(value) {
                Some(elements) => elements.iter().any(|element| self.holds_for_one(element)),
                None => self.holds_for_one(value),
            },
        }
    }

    fn holds_for_one(&self, value: &Value) -> bool {
        match (self, &value.kind) {
            (Self::Keyword(wanted), Some(Kind::StringValue(text))) => text == wanted,
            (Self::Boolean(wanted), Some(Kind::BoolValue(flag))) => flag == wanted,
            (Self::AnyKeyword(wanted), Some(Kind::StringValue(text))) => wanted.contains(text),
            (Self::AnyInteger(wanted), Some(Kind::IntegerValue(number))) => wanted.contains(number),
            (Self::ExceptKeyword(_) | Self::ExceptInteger(_), None | Some(Kind::NullValue(_))) => false,
            (Self::ExceptKeyword(refused), Some(Kind::StringValue(text))) => !refused.contains(text),
            (Self::ExceptInteger(refused), Some(Kind::IntegerValue(number))) => !refused.contains(number),
            (Self::ExceptKeyword(_) | Self::ExceptInteger(_), Some(_)) => true,
            (Self::Range(bounds), Some(Kind::IntegerValue(number))) => is_within(bounds, to_double(*number)),
            (Self::Range(bounds), Some(Kind::DoubleValue(number))) => is_within(bounds, *number),
            _ => false,
        }
    }
}

/// Says whether a value counts as absent: null, or an array without elements.
pub(crate) fn is_empty(value: &Value) -> bool {
    is_null(value) || elements(value).is_some_and(<[Value]>::is_empty)
}

/// Says whether a value is null.
pub(crate) fn is_null(value: &Value) -> bool {
    matches!(value.kind, None | Some(Kind::NullValue(_)))
}

fn has_null(value: &Value) -> bool {
    elements(value).map_or_else(|| is_null(value), |values| values.iter().any(is_null))
}

/// Returns the elements of an array; `None` for any other value.
pub(crate) fn elements(value: &Value) -> Option<&[Value]> {
    if let Some(Kind::ListValue(list)) = &value.kind {
        Some(&list.values)
    } else {
        None
    }
}

fn count_of(value: &Value) -> u64 {
    let count = elements(value).map_or(usize::from(!is_null(value)), <[Value]>::len);
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "Qdrant compares ranges as doubles, and rounds where they cannot hold the integer"
)]
fn to_double(number: i64) -> f64 {
    number as f64
}

fn is_within(bounds: &Range, number: f64) -> bool {
    bounds.gt.is_none_or(|bound| number > bound)
        && bounds.gte.is_none_or(|bound| number >= bound)
        && bounds.lt.is_none_or(|bound| number < bound)
        && bounds.lte.is_none_or(|bound| number <= bound)
}

fn is_count_within(bounds: &ValuesCount, count: u64) -> bool {
    bounds.gt.is_none_or(|bound| count > bound)
        && bounds.gte.is_none_or(|bound| count >= bound)
        && bounds.lt.is_none_or(|bound| count < bound)
        && bounds.lte.is_none_or(|bound| count <= bound)
}
