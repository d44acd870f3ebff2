//! Patterns: globs over paths and names, and regular expressions of bounded size that take linear time.

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
pub const LONGEST: usize = 512;

/// Largest compiled expression, in bytes.
const COMPILED: usize = 256 * 1024;

/// Most that an expression may remember while it matches, in bytes: a tenant's expressions are kept, thousands of them.
const REMEMBERED: usize = 64 * 1024;

/// Compiles a regular expression; `^` and `$` are line ends.
///
/// # Errors
/// What is wrong with it.
pub fn expression(text: &str) -> Result<Regex, String> {
    build(text)
}

/// Compiles a glob: `*` is anything within a segment, `**` anything, `?` one character within a segment.
///
/// # Errors
/// When it is too long.
pub fn glob(text: &str) -> Result<Regex, String> {
    let mut expression = String::from("\\A");
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                // `a/**/b` is also `a/b`.
                expression.push_str(if rest.next_if_eq(&'/').is_some() {
                    "(?:.*/)?"
                } else {
                    ".*"
                });
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push_str("\\z");
    build(&format!("(?s){expression}"))
}

fn build(text: &str) -> Result<Regex, String> {
    if text.len() > LONGEST * 8 {
        return Err("the pattern is too long".to_owned());
    }
    RegexBuilder::new(text)
        .multi_line(true)
        .size_limit(COMPILED)
        .dfa_size_limit(REMEMBERED)
        .build()
        .map_err(|error| match &error {
            regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
            regex::Error::Syntax(_) | _ => error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        glob(pattern).expect("a glob").is_match(text)
    }

    #[test]
    fn stars_stop_at_segments_and_double_stars_do_not() {
        assert!(matches("src/*.rs", "src/main.rs"));
        assert!(!matches("src/*.rs", "src/a/main.rs"));
        assert!(matches("src/**/*.rs", "src/main.rs"));
        assert!(matches("src/**/*.rs", "src/a/b/main.rs"));
        assert!(matches("**", "any/thing"));
        assert!(matches("lib?", "lib1") && !matches("lib?", "lib/"));
        assert!(!matches("a.rs", "axrs") && !matches("main.rs", "src/main.rs"));
        assert!(!matches("a", "a\nb"));
    }

    #[test]
    fn an_expression_that_would_be_huge_is_refused() {
        assert!(expression("(?:(?:a{1000}){1000}){10}").is_err());
        assert!(expression("(").is_err());
    }

    proptest! {
        #[test]
        fn a_text_without_stars_matches_itself_alone(text in "[^*?]{0,30}", other in "[^*?]{0,30}") {
            prop_assert!(matches(&text, &text));
            prop_assert_eq!(matches(&text, &other), text == other);
        }
    }
}
