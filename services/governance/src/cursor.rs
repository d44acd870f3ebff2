//! Cursors of pages: opaque to callers, bound to the tenant and the filters that they were made under.
//!
//! The check in a cursor finds mistakes and tampering; it is no secret. What a cursor can reach is what the query under
//! row-level security can.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};

use aeterna_kit::problem::{Code, Problem};

use crate::audit::hex;

/// Makes the cursor of a position.
#[must_use]
pub fn write(tenant: &str, filter: &str, position: &str) -> String {
    BASE64.encode(format!("{position}|{}", check(tenant, filter, position)))
}

/// Reads a cursor's position.
///
/// # Errors
/// [`Code::InvalidParameter`] when it was not made here for this tenant and these filters.
pub fn read(cursor: &str, tenant: &str, filter: &str) -> Result<String, Problem> {
    let position = || {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        let (position, given) = text.rsplit_once('|')?;
        (given == check(tenant, filter, position)).then(|| position.to_owned())
    };
    position().ok_or_else(|| {
        let message = "the cursor is not one of this list with these filters; begin without one";
        Problem::field(Code::InvalidParameter, "cursor", message)
    })
}

fn check(tenant: &str, filter: &str, position: &str) -> String {
    let digest = Sha256::digest(format!("aeterna.cursor.v1\n{tenant}\n{filter}\n{position}"));
    hex(digest.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back_and_only_where_it_belongs(position in "[ -~]{0,40}", filter in "[ -~]{0,20}") {
            let cursor = write("acme", &filter, &position);
            prop_assert_eq!(read(&cursor, "acme", &filter).ok(), Some(position));
            prop_assert!(read(&cursor, "globex", &filter).is_err());
            prop_assert!(read(&cursor, "acme", &(filter.clone() + "x")).is_err());
        }

        #[test]
        fn a_changed_cursor_is_refused(at in any::<prop::sample::Index>()) {
            let mut cursor = write("acme", "filter", "42").into_bytes();
            let place = at.index(cursor.len());
            cursor[place] = if cursor[place] == b'A' { b'B' } else { b'A' };
            prop_assert!(read(&String::from_utf8(cursor).expect("ASCII"), "acme", "filter").is_err());
        }
    }
}
