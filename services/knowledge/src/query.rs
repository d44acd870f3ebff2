//! What people type into a search box, taken apart.
//!
//! Pure. `"exact words"` is a phrase, `polic*` a prefix, `-draft` and `-"old way"` are unwanted; everything else is words,
//! whatever characters they have. Nothing is a syntax error: a quote that does not close runs to the end.

/// Longest query, in bytes.
pub const LONGEST: usize = 4096;

/// Most parts: each costs a look into the index.
const PARTS: usize = 32;

/// A query, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Words, in any of their forms.
    pub words: Vec<String>,
    /// Words in this order, next to each other.
    pub phrases: Vec<String>,
    /// Beginnings of words.
    pub prefixes: Vec<String>,
    /// What must not be there.
    pub without: Vec<String>,
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Too long, or with a NUL.
    #[error("a query has 1 to {LONGEST} bytes, and no NUL")]
    Length,
    /// Too many parts.
    #[error("a query has at most {PARTS} words and phrases")]
    Parts,
    /// Only what is unwanted.
    #[error("a query says what to find, not only what not to")]
    Nothing,
}

/// Takes a query apart.
///
/// # Errors
/// [`Invalid`].
pub fn parse(text: &str) -> Result<Query, Invalid> {
    if text.trim().is_empty() || text.len() > LONGEST || text.contains('\0') {
        return Err(Invalid::Length);
    }
    let mut query = Query::default();
    let mut rest = text.trim_start();
    let mut parts = 0;
    while !rest.is_empty() {
        rest = take(&mut query, rest).trim_start();
        parts += 1;
        if parts > PARTS {
            return Err(Invalid::Parts);
        }
    }
    if query.words.is_empty() && query.phrases.is_empty() && query.prefixes.is_empty() {
        return Err(Invalid::Nothing);
    }
    Ok(query)
}

/// Returns the words of a text as a query for any of them: the first that are worth asking for.
#[must_use]
pub fn any_word(text: &str) -> Query {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let word = word.to_lowercase();
        if word.chars().count() > 2 && word.len() <= 64 && !words.contains(&word) {
            words.push(word);
        }
        if words.len() == PARTS {
            break;
        }
    }
    Query {
        words,
        ..Query::default()
    }
}

/// Takes one part off, and returns the rest.
fn take<'a>(query: &mut Query, text: &'a str) -> &'a str {
    let (unwanted, text) = match text.strip_prefix('-') {
        Some(after) if after.starts_with(|c: char| c == '"' || c.is_alphanumeric()) => (true, after),
        _ => (false, text),
    };
    if let Some(open) = text.strip_prefix('"') {
        let (phrase, rest) = open.split_once('"').unwrap_or((open, ""));
        if !phrase.trim().is_empty() {
            let list = if unwanted {
                &mut query.without
            } else {
                &mut query.phrases
            };
            list.push(phrase.trim().to_owned());
        }
        return rest;
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    match word.strip_suffix('*') {
        _ if unwanted => query.without.push(word.trim_end_matches('*').to_owned()),
        // A prefix is one word: letters and digits, nothing that the index would take apart.
        Some(stem) if !stem.is_empty() && stem.chars().all(char::is_alphanumeric) => {
            query.prefixes.push(stem.to_lowercase());
        }
        _ => query.words.push(word.to_owned()),
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn words_phrases_prefixes_and_what_is_unwanted_are_told_apart() {
        let query = parse(r#"retry "circuit breaker"  Polic* -draft -"old way" e-mail"#).expect("fine");
        assert_eq!(query.words, strings(&["retry", "e-mail"]));
        assert_eq!(query.phrases, strings(&["circuit breaker"]));
        assert_eq!(query.prefixes, strings(&["polic"]));
        assert_eq!(query.without, strings(&["draft", "old way"]));
    }

    #[test]
    fn nothing_is_a_syntax_error() {
        assert_eq!(parse("\"open").expect("fine").phrases, strings(&["open"]));
        assert_eq!(parse("a'b*").expect("fine").words, strings(&["a'b*"]));
        assert_eq!(parse("- * ((").expect("fine").words, strings(&["-", "*", "(("]));
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        assert_eq!(parse("  "), Err(Invalid::Length));
        assert_eq!(parse("a\0"), Err(Invalid::Length));
        assert_eq!(parse("-draft"), Err(Invalid::Nothing));
        assert_eq!(parse(&"a ".repeat(33)), Err(Invalid::Parts));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(text in "([\"*\\-a ]|\\PC){0,40}") {
            if let Ok(query) = parse(&text) {
                prop_assert!(query.prefixes.iter().all(|prefix| prefix.chars().all(char::is_alphanumeric)));
            }
        }
    }
}
