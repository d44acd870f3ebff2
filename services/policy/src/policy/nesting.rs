//! How deep a Cedar text goes, found without parsing it.
//!
//! The parser turns what it has read into a tree by calling itself, once a level, and does not look at its stack: a text of
//! brackets alone would end the process. So the depth is bounded before anything is parsed. What is counted is never less than
//! the depth of the tree: brackets and `if` nest, and a chain (`a || b || c`, `a.b.c`, `1 + 1 + 1`) leans to one side, a level
//! for each link.

/// Deepest nesting of brackets and `if`.
const NESTED: usize = 64;

/// Deepest tree: what is nested, and the links of the chains that it lies in.
const DEEP: usize = 512;

/// What is open at a place of the text.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// `if`, each of which holds what comes after it.
    ifs: usize,
    /// Links `||` and `&&`.
    links: usize,
    /// Other operators since the last of these.
    operators: usize,
}

/// Checks the depth of a text.
///
/// # Errors
/// Where it is too deep, as an offset in bytes, and what may be.
pub fn check(text: &str) -> Result<(), (usize, &'static str)> {
    let mut levels = vec![Level::default()];
    let mut rest = Words { text, at: 0 };
    while let Some((at, word)) = rest.next_word() {
        if matches!(word, ")" | "]" | "}") && levels.len() > 1 {
            levels.pop();
        }
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match word {
            "," | ";" => *level = Level::default(),
            "if" => level.ifs += 1,
            "|" | "&" => {
                level.links += 1;
                level.operators = 0;
            }
            "." | "!" | "-" | "+" | "*" | "/" | "%" | "<" | ">" | "=" | "in" | "has" | "like" | "is" => {
                level.operators += 1
            }
            // Of several conditions, calls and indices each hangs on the one before it.
            "(" | "[" | "{" => {
                level.operators += 1;
                levels.push(Level::default());
            }
            _ => {}
        }
        let nested = levels.len() - 1 + levels.iter().map(|level| level.ifs).sum::<usize>();
        if nested > NESTED {
            return Err((at, "brackets and if are nested more than 64 deep"));
        }
        let chained: usize = levels.iter().map(|level| level.links + level.operators).sum();
        if nested + chained > DEEP {
            return Err((
                at,
                "more than 512 operators in one expression; make several statements of it",
            ));
        }
    }
    Ok(())
}

/// The words and signs of a text, without strings and comments.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next_word(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let at = self.at;
            let rest = self.text.get(at..)?;
            let first = rest.chars().next()?;
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            self.at += match first {
                '"' => string(rest),
                '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                // Each of these is one sign of two characters, and counts once.
                '|' | '&' | '=' if rest.chars().nth(1) == Some(first) => 2,
                _ if is_word(first) => rest.find(|character| !is_word(character)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            if first != '"' && !rest.starts_with("//") && !first.is_whitespace() {
                let end = if is_word(first) { self.at } else { at + first.len_utf8() };
                return Some((at, self.text.get(at..end)?));
            }
        }
    }
}

/// Returns the length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(expression: &str) -> String {
        format!("permit (principal, action, resource) when {{ {expression} }};")
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_nest() {
        let many = "([{".repeat(100);
        for harmless in [
            format!("\"{many}\" == \"a\\\"{many}\""),
            format!("true // {many}\n"),
            "[1, 2].contains(1) && ".repeat(99) + "true",
        ] {
            assert_eq!(check(&when(&harmless)), Ok(()), "{harmless}");
        }
        let statements = when("if context has mfa then context.mfa else false").repeat(100);
        assert_eq!(check(&statements), Ok(()), "statements do not add up");
    }

    #[test]
    fn what_nests_and_what_leans_is_refused_beyond_its_limit() {
        let nest = |open: &str, close: &str, count: usize| when(&(open.repeat(count) + "1" + &close.repeat(count)));
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{a: ", "}"),
            ("if true then ", " else 1"),
            ("if ", " then 1 else 1"),
        ] {
            assert!(check(&nest(open, close, 65)).is_err(), "{open}");
            assert_eq!(check(&nest(open, close, 60)), Ok(()), "{open}");
        }
        let else_if = "if true then 1 else ".repeat(65) + "1";
        assert!(check(&when(&else_if)).is_err());
        for link in [
            " || true", " && true", " + 1", " - 1", " * 1", ".a", " == 1", "[\"a\"]", "(1)", "!", "-",
        ] {
            assert!(check(&when(&format!("a{}", link.repeat(600)))).is_err(), "{link}");
        }
        let (at, _) = check(&nest("(", ")", 70)).expect_err("too deep");
        assert_eq!(
            at,
            when("").find('{').expect("a bracket") + 2 + 63,
            "the first bracket too many"
        );
    }
}
