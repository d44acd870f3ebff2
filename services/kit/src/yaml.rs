//! How much a document holds when it is read into values.
//!
//! An alias of YAML (`*name`) stands for what is marked elsewhere (`&name`), and becomes a copy of it; copies of copies fill any
//! memory. So what somebody else has written is walked through before it is read: walking keeps nothing.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess as _, Visitor};

/// What a value costs beside its text, in bytes.
const VALUE: usize = 32;

/// Walks through a document.
///
/// # Errors
/// Those of the document, and that it would hold more than `most` bytes.
pub fn walk<'de, D: Deserializer<'de>>(document: D, most: usize) -> Result<(), D::Error> {
    Walk(&Cell::new(most)).deserialize(document)
}

/// How many bytes may still come.
#[derive(Clone, Copy)]
struct Walk<'a>(&'a Cell<usize>);

impl Walk<'_> {
    fn spend<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes.saturating_add(VALUE));
        let left = left.ok_or_else(|| E::custom("its aliases stand for too much; write out what they stand for"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.spend(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while values.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while values.next_key_seed(self)?.is_some() {
            values.next_value_seed(self)?;
        }
        Ok(())
    }

    /// A value with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, value: A) -> Result<(), A::Error> {
        let ((), tagged) = value.variant_seed(self)?;
        tagged.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::walk;

    fn is_bounded(json: &str, most: usize) -> bool {
        walk(&mut serde_json::Deserializer::from_str(json), most).is_ok()
    }

    #[test]
    fn a_document_costs_what_it_says_and_how_many_values_it_has() {
        for (json, costs) in [
            ("null", 32),
            ("\"four\"", 36),
            ("[1, -1, 0.5, true]", 5 * 32),
            ("{\"ab\": [], \"c\": \"d\"}", 5 * 32 + 4),
        ] {
            assert!(is_bounded(json, costs), "{json}");
            assert!(!is_bounded(json, costs - 1), "{json}");
        }
    }
}
