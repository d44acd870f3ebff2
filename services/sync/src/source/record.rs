//! A record of a feed as JSON: what an item is made of, and nothing else of it is kept. Pure.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::connection::HttpNdjson;

/// What is kept of a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// What the field of the id holds.
    pub id: Option<Scalar>,
    /// What the field of the text holds.
    pub content: Option<Scalar>,
    /// Whether it says that the item is deleted.
    pub is_deleted: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A text.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// `true`.
    True,
    /// Anything else.
    Other,
}

/// Reads a record with the fields that the settings name.
#[derive(Clone, Copy)]
pub(super) struct SeedOf<'a>(pub &'a HttpNdjson);

impl SeedOf<'_> {
    /// Reads a record; nothing where the bytes are no JSON object.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Record> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let record = self.deserialize(&mut json).ok()?;
        json.end().ok().and(record)
    }
}

/// Takes values that are not what is meant as what they are: nothing.
macro_rules! anything_else {
    ($value:expr; $($method:ident: $type:ty),*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok($value)
        })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de> DeserializeSeed<'de> for SeedOf<'_> {
    type Value = Option<Record>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SeedOf<'_> {
    type Value = Option<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut record = Record::default();
        while let Some(name) = fields.next_key::<String>()? {
            let (is_id, is_content) = (name == self.0.id_field, name == self.0.content_field);
            if !is_id && !is_content && name != "deleted" {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = fields.next_value_seed(One)?;
            if name == "deleted" {
                record.is_deleted = value == Scalar::True;
            }
            if is_id {
                record.id = Some(value.clone());
            }
            if is_content {
                record.content = Some(value);
            }
        }
        Ok(Some(record))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    anything_else!(None; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

/// Reads what a field holds.
struct One;

impl<'de> DeserializeSeed<'de> for One {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Scalar, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(if value { Scalar::True } else { Scalar::Other })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(serde_json::Number::from_f64(number).map_or(Scalar::Other, |number| Scalar::Number(number.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Scalar, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// Reads a document that is one JSON value, and hands on its records one by one, until one is not taken.
pub(super) struct Whole<'a, F> {
    settings: &'a HttpNdjson,
    take: F,
}

impl<'a, F: FnMut(Option<Record>) -> bool> Whole<'a, F> {
    /// Makes it of what the records are handed to.
    pub(super) fn new(settings: &'a HttpNdjson, take: F) -> Self {
        Self { settings, take }
    }

    /// Reads a document; returns where it says that the next one is.
    ///
    /// # Errors
    /// When it is no list, and no object with a list `items`, or when a record was not taken.
    pub(super) fn read(mut self, bytes: &[u8]) -> serde_json::Result<Option<String>> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let next = json.deserialize_any(&mut self)?;
        json.end().map(|()| next)
    }
}

impl<'de, F: FnMut(Option<Record>) -> bool> Visitor<'de> for &mut Whole<'_, F> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records, or an object with one in `items`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Self::Value, A::Error> {
        while let Some(record) = records.next_element_seed(SeedOf(self.settings))? {
            if !(self.take)(record) {
                return Err(A::Error::custom("a record was not taken"));
            }
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut next, mut has_items) = (None, false);
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "items" => {
                    fields.next_value_seed(List(&mut *self))?;
                    has_items = true;
                }
                "next" => {
                    next = match fields.next_value_seed(One)? {
                        Scalar::Text(next) if !next.is_empty() => Some(next),
                        Scalar::Text(_) | Scalar::Number(_) | Scalar::True | Scalar::Other => None,
                    };
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        has_items
            .then_some(next)
            .ok_or_else(|| A::Error::missing_field("items"))
    }
}

/// The list in `items`.
struct List<'a, 'b, F>(&'a mut Whole<'b, F>);

impl<'de, F: FnMut(Option<Record>) -> bool> DeserializeSeed<'de> for List<'_, '_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self.0).map(drop)
    }
}
