//! Reading payload values.

use std::collections::HashMap;

use qdrant_client::qdrant::Value;
use qdrant_client::qdrant::value::Kind;

/// A payload as Qdrant returns it.
pub type Payload = HashMap<String, Value>;

/// Returns a string field.
pub fn text<'a>(payload: &'a Payload, field: &str) -> Option<&'a str> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::StringValue(value) => Some(value),
        Kind::NullValue(_)
        | Kind::DoubleValue(_)
        | Kind::IntegerValue(_)
        | Kind::BoolValue(_)
        | Kind::StructValue(_)
        | Kind::ListValue(_) => None,
    }
}

/// Returns an integer field.
pub fn integer(payload: &Payload, field: &str) -> Option<i64> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::IntegerValue(value) => Some(*value),
        Kind::NullValue(_)
        | Kind::DoubleValue(_)
        | Kind::StringValue(_)
        | Kind::BoolValue(_)
        | Kind::StructValue(_)
        | Kind::ListValue(_) => None,
    }
}

/// Tells whether a field is `true`.
pub fn is_true(payload: &Payload, field: &str) -> bool {
    matches!(
        payload.get(field).and_then(|value| value.kind.as_ref()),
        Some(Kind::BoolValue(true))
    )
}
