//! Takes out of a text what a terminal would act on and nobody reads: colours, titles of windows, control characters.
//!
//! Pure, and before [`super::redact`]: a colour in the middle of a password hides it from every form.

use std::sync::LazyLock;

use regex::Regex;

/// Escape sequences: of the control sequence introducer, of the operating system command, and those of two characters.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x{9d})[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})?|\x1b[ -/]*[0-~]?";
    Regex::new(forms).expect("a constant, compiled by a test")
});

/// Returns a text without escape sequences and control characters; line ends and tabs stay.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = ESCAPES.replace_all(text, "");
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect()
}

/// Returns a text as one line.
#[must_use]
pub fn line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_and_bells_are_gone_and_the_words_stay() {
        assert_eq!(
            plain("\u{1b}[1;31merror\u{1b}[0m: it\u{7} failed\r\n\tat"),
            "error: it failed\n\tat"
        );
        assert_eq!(
            plain("\u{1b}]0;a title\u{7}text \u{1b}]8;;http://x\u{1b}\\link"),
            "text link"
        );
        assert_eq!(line(" one\n\u{1b}[2Ktwo\t"), "one two");
        assert_eq!(
            crate::notes::redact::redact(&plain("password=hun\u{1b}[0mter2")).count,
            1
        );
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in "(\\PC|\\p{Cc}|\u{1b}\\[3){0,40}") {
            prop_assert!(plain(&text).chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()));
        }
    }
}
