//! Pages of a list: how many entries, and an opaque cursor to go on from.
//!
//! A cursor belongs to one list of one tenant under one set of filters; a checksum tells a changed or a foreign one apart. It
//! is no secret and gives no right: what it leads to is read in the caller's own scope.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::ids::TenantId;
use crate::problem::{Code, Problem};

/// Bytes of the checksum before the position.
const SUM: usize = 12;

/// How many entries a page has.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Where the caller names no number.
    pub usual: u16,
    /// At most.
    pub most: u16,
}

impl Size {
    /// Checks the number of entries that a caller asks for.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn check(self, asked: Option<i64>) -> Result<u16, Problem> {
        let Some(asked) = asked else { return Ok(self.usual) };
        u16::try_from(asked)
            .ok()
            .filter(|asked| (1..=self.most).contains(asked))
            .ok_or_else(|| Problem::field(Code::InvalidParameter, "limit", format!("limit is 1 to {}", self.most)))
    }
}

/// A list, as its cursors know it.
#[derive(Debug, Clone)]
pub struct List {
    sum: Sha256,
}

impl List {
    /// Names a list: whose it is, and everything that decides which entries it has and in which order.
    #[must_use]
    pub fn new(tenant: &TenantId, filters: &str) -> Self {
        let mut sum = Sha256::new();
        for part in [tenant.as_str(), filters] {
            sum.update(part.len().to_le_bytes());
            sum.update(part);
        }
        Self { sum }
    }

    /// Writes the cursor of a position.
    #[must_use]
    pub fn cursor(&self, position: &str) -> String {
        let mut bytes = self.checksum(position.as_bytes());
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the position of a cursor; without one the list begins at its beginning.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`] when it is of another list, or not whole.
    pub fn position(&self, cursor: Option<&str>) -> Result<Option<String>, Problem> {
        let Some(cursor) = cursor else { return Ok(None) };
        self.read(cursor).map(Some).ok_or_else(|| {
            let message = "the cursor is not one of this list with these filters; begin without one";
            Problem::field(Code::InvalidCursor, "cursor", message)
        })
    }

    /// Reads a position that is more than text: an id, a number.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`].
    pub fn place<T: FromStr>(&self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        let Some(position) = self.position(cursor)? else {
            return Ok(None);
        };
        let place = position.parse().map(Some);
        place.map_err(|_| {
            Problem::field(
                Code::InvalidCursor,
                "cursor",
                "the cursor leads nowhere; begin without one",
            )
        })
    }

    fn read(&self, cursor: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sum, position) = bytes.split_at_checked(SUM)?;
        if sum != self.checksum(position) {
            return None;
        }
        String::from_utf8(position.to_vec()).ok()
    }

    fn checksum(&self, position: &[u8]) -> Vec<u8> {
        let digest = self.sum.clone().chain_update(position).finalize();
        digest.iter().take(SUM).copied().collect()
    }
}

/// Cuts a list that was read with one entry more than a page has; returns the last one that is kept, if there was one more.
pub fn cut<T>(entries: &mut Vec<T>, size: u16) -> Option<&T> {
    let more = entries.len() > usize::from(size);
    entries.truncate(usize::from(size));
    entries.last().filter(|_| more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(tenant: &str, filters: &str) -> List {
        List::new(&TenantId::parse(tenant.to_owned()).expect("a tenant"), filters)
    }

    #[test]
    fn a_page_has_at_least_one_entry_and_at_most_so_many() {
        let size = Size { usual: 50, most: 100 };
        assert_eq!(size.check(None).expect("the usual"), 50);
        assert_eq!(size.check(Some(100)).expect("the most"), 100);
        for wrong in [0, -1, 101, i64::MAX] {
            assert_eq!(
                size.check(Some(wrong)).expect_err("refused").code,
                Code::InvalidParameter
            );
        }
    }

    #[test]
    fn a_list_with_one_entry_too_many_goes_on() {
        let mut entries = vec![1, 2, 3];
        assert_eq!(cut(&mut entries, 2), Some(&2));
        assert_eq!(entries, [1, 2]);
        assert_eq!(cut(&mut entries, 2), None);
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back_and_only_where_it_belongs(position in "\\PC{0,40}", filters in "\\PC{0,20}") {
            let own = list("acme", &filters);
            let cursor = own.cursor(&position);
            prop_assert_eq!(own.position(Some(&cursor)).ok().flatten(), Some(position));
            prop_assert!(list("globex", &filters).position(Some(&cursor)).is_err());
            prop_assert!(list("acme", &(filters + "x")).position(Some(&cursor)).is_err());
        }

        #[test]
        fn a_changed_cursor_is_refused(position in "[a-z]{1,20}", at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let own = list("acme", "");
            let cursor = own.cursor(&position);
            let at = at.index(cursor.len());
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &to);
            // Unused bits at the end of base64 are refused as well.
            prop_assert!(changed == cursor || own.position(Some(&changed)).is_err());
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            prop_assert!(list("acme", "").position(Some(&text)).is_err());
        }
    }
}
