//! Places to go on from, as callers carry them.
//!
//! Pure. A cursor is opaque, and holds good for the question that it came from: another question, or a changed byte, is told
//! apart by a checksum. It is no secret and gives no right: what it leads to is read in the caller's own scope.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use aeterna_kit::problem::{Code, Problem};

/// Bytes of the checksum before the place.
const SUM: usize = 12;

/// Writes the cursor of a place in the answer to a question.
#[must_use]
pub fn encode(question: &str, place: &str) -> String {
    let mut bytes = checksum(question, place.as_bytes());
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the cursor of a question.
///
/// # Errors
/// [`Code::InvalidCursor`] when it is of another question, or not whole.
pub fn decode(question: &str, cursor: &str) -> Result<String, Problem> {
    read(question, cursor).ok_or_else(|| {
        Problem::field(
            Code::InvalidCursor,
            "cursor",
            "the cursor does not belong to this question; begin without one",
        )
    })
}

fn read(question: &str, cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sum, place) = bytes.split_at_checked(SUM)?;
    if sum != checksum(question, place) {
        return None;
    }
    String::from_utf8(place.to_vec()).ok()
}

fn checksum(question: &str, place: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(question.len().to_le_bytes());
    hash.update(question);
    hash.update(place);
    hash.finalize().iter().take(SUM).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_leads_back_and_to_no_other_question(question in "\\PC{0,20}", place in "\\PC{0,20}", other in "\\PC{0,20}") {
            let cursor = encode(&question, &place);
            prop_assert_eq!(decode(&question, &cursor).ok(), Some(place));
            prop_assert!(question == other || decode(&other, &cursor).is_err());
        }

        #[test]
        fn a_changed_cursor_is_refused(place in "[a-z]{1,20}", at in 0_usize..30, to in "[A-Za-z0-9_-]") {
            let cursor = encode("q", &place);
            let at = at % cursor.len();
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &to);
            let decoded = decode("q", &changed);
            // Unused bits at the end of base64 are refused as well.
            prop_assert!(changed == cursor || decoded.is_err());
        }
    }
}
