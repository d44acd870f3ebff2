//! Pages of a list: an opaque cursor that holds the last id and what the list was filtered by.
//!
//! A cursor that was changed, or is sent with another filter, is refused and never guessed at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

/// Entries of a page, where the caller names no number.
pub const DEFAULT: u32 = 50;

/// Entries of a page, at most.
pub const MOST: u32 = 200;

/// Bytes of the check in a cursor.
const CHECK: usize = 8;

/// Checks the number of entries that a caller asks for.
///
/// # Errors
/// [`Code::InvalidParameter`].
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(DEFAULT);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    let message = format!("limit is 1 to {MOST}");
    Err(Problem::field(Code::InvalidParameter, "limit", message))
}

/// Makes the cursor that follows an entry; `filter` is anything that tells filters apart.
#[must_use]
pub fn after(last: Uuid, filter: &str) -> String {
    let mut bytes = last.as_bytes().to_vec();
    bytes.extend(check(last, filter));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor.
///
/// # Errors
/// [`Code::InvalidParameter`] when it was changed, or made for another filter.
pub fn read(cursor: &str, filter: &str) -> Result<Uuid, Problem> {
    let refused = || {
        let message = "the cursor is not one of this list; ask for the first page again";
        Problem::field(Code::InvalidParameter, "cursor", message)
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let (id, found) = bytes.split_at_checked(16).ok_or_else(refused)?;
    let id = Uuid::from_slice(id).map_err(|_| refused())?;
    if found == check(id, filter) {
        Ok(id)
    } else {
        Err(refused())
    }
}

/// Cuts a list that has one entry more than asked for; returns the cursor of the page behind it.
pub fn cut<T>(items: &mut Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(cursor)
}

fn check(id: Uuid, filter: &str) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(b"sync cursor 1");
    digest.update(id.as_bytes());
    digest.update(filter);
    digest.finalize().into_iter().take(CHECK).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_of_another_filter_is_refused() {
        let id = Uuid::now_v7();
        let cursor = after(id, "status=failed");
        assert_eq!(read(&cursor, "status=failed").expect("its own"), id);
        assert_eq!(
            read(&cursor, "status=").expect_err("refused").code,
            Code::InvalidParameter
        );
    }

    proptest! {
        #[test]
        fn a_changed_cursor_is_refused(place in 0_usize..32, to in 0_u8..64) {
            let cursor = after(Uuid::now_v7(), "");
            let mut letters: Vec<u8> = cursor.bytes().collect();
            letters[place] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(to)];
            let changed = String::from_utf8(letters).expect("ASCII");
            prop_assert_eq!(read(&changed, "").is_ok(), changed == cursor);
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            prop_assert!(read(&text, "").is_err());
        }
    }
}
