//! A document of a feed into items. Pure.
//!
//! A document is lines of JSON, or one JSON value: a list of records, or an object with the records in `items` and the next
//! document in `next`. A record that is not an item becomes a reject under its number, for it has no better name. Of a record
//! is kept what an item is made of and nothing else, one record at a time, so that a document takes hardly more memory than
//! it is long; and it ends at the item that is one too many.

use std::collections::HashMap;

use super::record::{Record, Scalar, SeedOf, Whole};
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

/// Which document it is, and how many items it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the document in its feed, from 1.
    pub number: u32,
    /// Items that it may have.
    pub most: u64,
}

/// Reads a document.
///
/// # Errors
/// When it is not of the form, or has too many items.
pub(super) fn read(bytes: &[u8], form: Form, settings: &HttpNdjson, place: Place) -> Result<Document, Failure> {
    let mut items = Items {
        settings,
        place,
        records: 0,
        all: Vec::new(),
        places: HashMap::new(),
        live: 0,
    };
    let next = match form {
        Form::Lines => {
            lines(bytes, &mut items)?;
            None
        }
        Form::Whole => whole(bytes, &mut items)?,
    };
    let items = items.all.into_iter().flatten().collect();
    Ok(Document { items, next })
}

fn lines(bytes: &[u8], items: &mut Items<'_>) -> Result<(), Failure> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    for line in lines.filter(|line| !line.is_empty()) {
        let record = SeedOf(items.settings).read(line);
        items.take(record)?;
    }
    Ok(())
}

fn whole(bytes: &[u8], items: &mut Items<'_>) -> Result<Option<String>, Failure> {
    let (settings, mut refused) = (items.settings, None);
    let take = |record| match items.take(record) {
        Ok(()) => true,
        Err(failure) => {
            refused = Some(failure);
            false
        }
    };
    let next = Whole::new(settings, take).read(bytes);
    match (refused, next) {
        (Some(failure), _) => Err(failure),
        (None, Ok(next)) => Ok(next),
        (None, Err(_)) => {
            let message = "the feed says that it is JSON, and is neither a list nor an object with a list `items`";
            Err(Failure::new(Class::Data, "FEED_UNREADABLE", message))
        }
    }
}

/// The items of a document as they come.
struct Items<'a> {
    settings: &'a HttpNdjson,
    place: Place,
    records: u64,
    /// In the order in which they came first; nothing where one was deleted again.
    all: Vec<Option<Listed>>,
    places: HashMap<String, usize>,
    live: u64,
}

impl Items<'_> {
    /// Takes a record, or nothing where there is no JSON object. Of two records with one id the later one holds.
    fn take(&mut self, record: Option<Record>) -> Result<(), Failure> {
        self.records += 1;
        let (id, item) = match record {
            None => self.nameless("NOT_JSON", "the record is no JSON object".to_owned()),
            Some(record) => match (record.id.as_ref().and_then(id), record.is_deleted) {
                (Some(id), true) => (id, None),
                (None, true) => return Ok(()),
                (Some(id), false) => {
                    let found = self.found(record.content);
                    (id.clone(), Some(listed(id, found)))
                }
                (None, false) => {
                    let name = &self.settings.id_field;
                    let message =
                        format!("the record has no {name:?}, or one that is no text of 1 to {LONGEST_ID} bytes");
                    self.nameless("NO_ID", message)
                }
            },
        };
        self.keep(id, item)
    }

    fn keep(&mut self, id: String, item: Option<Listed>) -> Result<(), Failure> {
        let next = self.all.len();
        let (was, is) = match self.places.get(&id) {
            Some(place) => match self.all.get_mut(*place) {
                Some(earlier) => {
                    let (was, is) = (earlier.is_some(), item.is_some());
                    *earlier = item;
                    (was, is)
                }
                None => return Ok(()),
            },
            // What was never there need not be remembered as deleted.
            None if item.is_none() => return Ok(()),
            None => {
                self.places.insert(id, next);
                self.all.push(item);
                (false, true)
            }
        };
        self.live = self.live + u64::from(is) - u64::from(was);
        if self.live > self.place.most {
            let message = format!("the feed holds more than {} items", self.place.most);
            return Err(Failure::new(Class::Data, "TOO_MANY_ITEMS", message));
        }
        Ok(())
    }

    /// A reject under a name that no item can have: ids hold no control characters.
    fn nameless(&self, code: &'static str, message: String) -> (String, Option<Listed>) {
        let id = format!("record\t{}.{}", self.place.number, self.records);
        (id.clone(), Some(listed(id, Found::Unfit(Unfit::new(code, message)))))
    }

    fn found(&self, content: Option<Scalar>) -> Found {
        match content {
            Some(Scalar::Text(text)) => match u64::try_from(text.len()) {
                Ok(length) if length <= LARGEST => text_of(text.into_bytes()),
                Ok(length) => too_large(length),
                Err(_) => too_large(u64::MAX),
            },
            None | Some(Scalar::Number(_) | Scalar::True | Scalar::Other) => {
                let message = format!("the record has no text {:?}", self.settings.content_field);
                Found::Unfit(Unfit::new("NO_CONTENT", message))
            }
        }
    }
}

fn listed(external_id: String, found: Found) -> Listed {
    Listed {
        external_id,
        version: None,
        found,
    }
}

fn id(scalar: &Scalar) -> Option<String> {
    let (Scalar::Text(id) | Scalar::Number(id)) = scalar else {
        return None;
    };
    let fits = !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
    fits.then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { number: 1, most: 1_000 };

    fn settings() -> HttpNdjson {
        serde_json::from_value(serde_json::json!({"url": "https://example.com/"})).expect("settings")
    }

    fn parsed(text: &str, form: Form) -> Vec<(String, Found)> {
        let document = read(text.as_bytes(), form, &settings(), PLACE).expect("a document");
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
        let lines = "{\"id\": \"a\", \"content\": \"A\", \"more\": [1, {\"x\": 2}]}\r\n\n{\"id\": 7, \"content\": \"B\"}\n\
                     nonsense\n[1]\n{\"content\": \"x\"}\n{\"id\": \"c\", \"content\": 3}\n\
                     {\"id\": \"d\", \"content\": \" \"}\n{\"id\": \"e\", \"deleted\": true}\n{\"id\": \"f\"} {}\n";
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
            ("record\t1.3", "NOT_JSON"),
            ("record\t1.4", "NOT_JSON"),
            ("record\t1.5", "NO_ID"),
            ("c", "NO_CONTENT"),
            ("d", "EMPTY"),
            ("record\t1.9", "NOT_JSON"),
        ];
        assert_eq!(rejects, expected);
    }

    #[test]
    fn one_value_is_a_list_or_an_object_with_items_and_a_next_one() {
        assert_eq!(
            parsed(r#"[{"id": "a", "content": "A"}, 3]"#, Form::Whole).first(),
            Some(&text("a", "A"))
        );
        for page in [
            r#"{"items": [{"id": "a", "content": "A"}], "next": "/feed?page=2", "total": [1]}"#,
            r#"{"next": "/feed?page=2", "items": []}"#,
        ] {
            let document = read(page.as_bytes(), Form::Whole, &settings(), PLACE).expect("a document");
            assert_eq!(document.next.as_deref(), Some("/feed?page=2"));
        }
        for bad in ["", "{}", "3", "{\"items\": 3}", "[1,", "[] x"] {
            let failure = read(bad.as_bytes(), Form::Whole, &settings(), PLACE).expect_err(bad);
            assert_eq!((failure.class, failure.code), (Class::Data, "FEED_UNREADABLE"));
        }
    }

    #[test]
    fn of_two_records_with_one_id_the_later_one_holds() {
        let lines = "{\"id\": \"a\", \"content\": \"1\"}\n{\"id\": \"b\", \"content\": \"2\"}\n{\"id\": \"a\", \"content\": \"3\"}";
        assert_eq!(parsed(lines, Form::Lines), [text("a", "3"), text("b", "2")]);
        let deleted = format!("{lines}\n{{\"id\": \"a\", \"deleted\": true}}");
        assert_eq!(parsed(&deleted, Form::Lines), [text("b", "2")]);
        let again = format!("{deleted}\n{{\"id\": \"a\", \"content\": \"4\"}}");
        assert_eq!(parsed(&again, Form::Lines), [text("a", "4"), text("b", "2")]);
    }

    #[test]
    fn a_document_ends_at_the_item_that_is_one_too_many() {
        let place = |most| Place { number: 1, most };
        for (form, text) in [
            (Form::Lines, "1\n".repeat(1 << 20)),
            (Form::Whole, format!("[{}1]", "1,".repeat(1 << 20))),
        ] {
            let failure = read(text.as_bytes(), form, &settings(), place(10)).expect_err("too many");
            assert_eq!((failure.class, failure.code), (Class::Data, "TOO_MANY_ITEMS"));
        }
        let same = "{\"id\": 1, \"content\": \"x\"}\n{\"id\": 1, \"deleted\": true}\n".repeat(20);
        assert!(read(same.as_bytes(), Form::Lines, &settings(), place(1)).is_ok());
    }

    #[test]
    fn no_item_has_the_name_of_a_reject() {
        let lines =
            "nonsense\n{\"id\": \"record-1\", \"content\": \"x\"}\n{\"id\": \"record\\t1.1\", \"content\": \"x\"}";
        let found = parsed(lines, Form::Lines);
        let names: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(names, ["record\t1.1", "record-1", "record\t1.3"]);
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
            let document = read(&bytes, Form::Lines, &settings(), PLACE).expect("lines always read");
            let mut ids: Vec<_> = document.items.iter().map(|item| &item.external_id).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), document.items.len());
            // Whatever it is, it is an answer.
            let _ = read(&bytes, Form::Whole, &settings(), PLACE);
        }
    }
}
