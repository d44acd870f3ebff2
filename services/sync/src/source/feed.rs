//! A document of a feed into items. Pure.
//!
//! A document is lines of JSON, or one JSON value: a list of records, or an object with the records in `items` and the next
//! document in `next`. A record that is not an item becomes a reject under its number, for it has no better name.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Found, LARGEST, LONGEST_ID, Listed, Unfit, text_of, too_large};
use crate::connection::HttpNdjson;
use crate::job::{Class, Failure};

/// A document, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its items, in its order, each id once.
    pub items: Vec<Listed>,
    /// Where it says that the next one is.
    pub next: Option<String>,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON value a line.
    Lines,
    /// One JSON value.
    Whole,
}

impl Form {
    /// Tells the form by a content type; what does not say that it is one JSON value is lines.
    pub(super) fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Self::Whole
        } else {
            Self::Lines
        }
    }
}

/// Reads a document.
///
/// # Errors
/// When it is not of the form.
pub(super) fn read(bytes: &[u8], form: Form, settings: &HttpNdjson) -> Result<Document, Failure> {
    let (records, next) = match form {
        Form::Lines => (lines(bytes), None),
        Form::Whole => whole(bytes)?,
    };
    let (mut items, mut places) = (Vec::<Listed>::new(), HashMap::<String, usize>::new());
    for (number, record) in records.into_iter().enumerate() {
        let Some(item) = item(record, number, settings) else {
            continue;
        };
        // Of two records with one id the later one holds.
        match places.get(&item.external_id).and_then(|place| items.get_mut(*place)) {
            Some(earlier) => *earlier = item,
            None => {
                places.insert(item.external_id.clone(), items.len());
                items.push(item);
            }
        }
    }
    Ok(Document { items, next })
}

/// A record, or nothing where a line is no JSON.
type Record = Option<Value>;

fn lines(bytes: &[u8]) -> Vec<Record> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).ok())
        .collect()
}

fn whole(bytes: &[u8]) -> Result<(Vec<Record>, Option<String>), Failure> {
    let strange = |what: &str| Failure::new(Class::Data, "FEED_UNREADABLE", format!("the feed {what}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|_| strange("says that it is JSON, and is not"))?;
    match value {
        Value::Array(records) => Ok((records.into_iter().map(Some).collect(), None)),
        Value::Object(mut fields) => {
            let Some(Value::Array(records)) = fields.remove("items") else {
                return Err(strange("is an object without a list `items`"));
            };
            let next = match fields.remove("next") {
                Some(Value::String(next)) if !next.is_empty() => Some(next),
                None | Some(_) => None,
            };
            Ok((records.into_iter().map(Some).collect(), next))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(strange("is neither a list nor an object"))
        }
    }
}

/// Makes an item of a record; one that says that it is deleted is as good as not there.
fn item(record: Record, number: usize, settings: &HttpNdjson) -> Option<Listed> {
    let nameless = |code, message: &str| {
        Some(Listed {
            external_id: format!("record-{}", number + 1),
            version: None,
            found: Found::Unfit(Unfit::new(code, message)),
        })
    };
    let Some(Value::Object(mut fields)) = record else {
        return nameless("NOT_JSON", "the record is no JSON object");
    };
    if fields.get("deleted") == Some(&Value::Bool(true)) {
        return None;
    }
    let Some(external_id) = id(&fields, &settings.id_field) else {
        let message = format!(
            "the record has no {:?}, or one that is no text of 1 to {LONGEST_ID} bytes",
            settings.id_field
        );
        return nameless("NO_ID", &message);
    };
    let found = match fields.remove(&settings.content_field) {
        Some(Value::String(text)) => match u64::try_from(text.len()) {
            Ok(length) if length <= LARGEST => text_of(text.into_bytes()),
            Ok(length) => too_large(length),
            Err(_) => too_large(u64::MAX),
        },
        None | Some(_) => {
            let message = format!("the record has no text {:?}", settings.content_field);
            Found::Unfit(Unfit::new("NO_CONTENT", message))
        }
    };
    Some(Listed {
        external_id,
        version: None,
        found,
    })
}

fn id(fields: &Map<String, Value>, name: &str) -> Option<String> {
    let id = match fields.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let fits = !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
    fits.then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> HttpNdjson {
        serde_json::from_value(serde_json::json!({"url": "https://example.com/"})).expect("settings")
    }

    fn parsed(text: &str, form: Form) -> Vec<(String, Found)> {
        let document = read(text.as_bytes(), form, &settings()).expect("a document");
        document
            .items
            .into_iter()
            .map(|item| (item.external_id, item.found))
            .collect()
    }

    fn text(id: &str, text: &str) -> (String, Found) {
        (id.to_owned(), Found::Text(text.to_owned()))
    }

    #[test]
    fn lines_are_records_and_a_bad_one_rejects_itself_alone() {
        let lines = "{\"id\": \"a\", \"content\": \"A\"}\r\n\n{\"id\": 7, \"content\": \"B\"}\nnonsense\n[1]\n\
                     {\"content\": \"x\"}\n{\"id\": \"c\", \"content\": 3}\n{\"id\": \"d\", \"content\": \" \"}\n\
                     {\"id\": \"e\", \"deleted\": true}\n";
        let found = parsed(lines, Form::Lines);
        assert_eq!(found.first(), Some(&text("a", "A")));
        assert_eq!(found.get(1), Some(&text("7", "B")));
        let rejects: Vec<_> = found
            .iter()
            .skip(2)
            .map(|(id, found)| match found {
                Found::Unfit(unfit) => (id.as_str(), unfit.code),
                Found::Listed | Found::Text(_) | Found::Gone => (id.as_str(), "none"),
            })
            .collect();
        let expected = [
            ("record-3", "NOT_JSON"),
            ("record-4", "NOT_JSON"),
            ("record-5", "NO_ID"),
            ("c", "NO_CONTENT"),
            ("d", "EMPTY"),
        ];
        assert_eq!(rejects, expected);
    }

    #[test]
    fn one_value_is_a_list_or_an_object_with_items_and_a_next_one() {
        assert_eq!(
            parsed(r#"[{"id": "a", "content": "A"}]"#, Form::Whole),
            [text("a", "A")]
        );
        let page = r#"{"items": [{"id": "a", "content": "A"}], "next": "/feed?page=2"}"#;
        let document = read(page.as_bytes(), Form::Whole, &settings()).expect("a document");
        assert_eq!(document.next.as_deref(), Some("/feed?page=2"));
        for bad in ["", "{}", "3", "{\"items\": 3}", "[1,"] {
            let failure = read(bad.as_bytes(), Form::Whole, &settings()).expect_err(bad);
            assert_eq!((failure.class, failure.code), (Class::Data, "FEED_UNREADABLE"));
        }
    }

    #[test]
    fn of_two_records_with_one_id_the_later_one_holds() {
        let lines = "{\"id\": \"a\", \"content\": \"1\"}\n{\"id\": \"b\", \"content\": \"2\"}\n{\"id\": \"a\", \"content\": \"3\"}";
        assert_eq!(parsed(lines, Form::Lines), [text("a", "3"), text("b", "2")]);
    }

    #[test]
    fn the_form_is_told_by_the_content_type() {
        assert_eq!(Form::of("application/json; charset=utf-8"), Form::Whole);
        for other in ["application/x-ndjson", "text/plain", "application/jsonl", ""] {
            assert_eq!(Form::of(other), Form::Lines, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader_and_no_id_comes_twice(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let document = read(&bytes, Form::Lines, &settings()).expect("lines always read");
            let mut ids: Vec<_> = document.items.iter().map(|item| &item.external_id).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), document.items.len());
        }
    }
}
