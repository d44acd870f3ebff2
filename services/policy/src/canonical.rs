//! JSON with one spelling: keys sorted by code point, no spaces, integers only (the part of RFC 8785 that we need).
//!
//! What is hashed or signed is the text made here, and it is that text which is kept: a text that was read back and written
//! anew may differ. NUL, which PostgreSQL does not take in JSON, is replaced.

use serde_json::Value;

/// Writes a value in its one spelling. Numbers that are no integers are written as serde_json does.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    append(&mut text, value);
    text
}

fn append(text: &mut String, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        Value::String(string) => append_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                append(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (n, (key, field)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                append_string(text, key);
                text.push(':');
                append(text, field);
            }
            text.push('}');
        }
    }
}

fn append_string(text: &mut String, string: &str) {
    let clean = string.replace('\0', "\u{fffd}");
    text.push_str(&Value::String(clean).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_nul_is_replaced() {
        let value = json!({"b": [{"y": 1, "x": "a\0b"}], "a": null});
        assert_eq!(write(&value), "{\"a\":null,\"b\":[{\"x\":\"a\u{fffd}b\",\"y\":1}]}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[^\0]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[^\0]{0,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_same_value_and_is_spelt_the_same(value in any_json()) {
            let text = write(&value);
            let read: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(write(&read), text);
        }
    }
}
