//! What a caller's text must be for the database, the log and the policies to take it: one check for all of them.

/// Longest name or id, in bytes.
pub const NAME: usize = 256;

/// Tells whether a text is a line: 1 to `most` bytes, without control characters.
#[must_use]
pub fn is_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Tells whether a text says something: not blank, at most `most` bytes, without NUL.
#[must_use]
pub fn is_text(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.len() <= most && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_control_characters_and_a_text_no_nul() {
        assert!(is_line("ann", 3) && !is_line("anna", 3) && !is_line("", 3));
        assert!(!is_line("a\0b", 9) && !is_line("a\nb", 9));
        assert!(is_text("a\nb", 9) && !is_text("a\0b", 9) && !is_text(" ", 9) && !is_text("long", 3));
    }
}
