//! How deep a Cedar text goes, found without parsing it.
//!
//! The parser turns what it has read into a tree by calling itself, once a level, and does not look at its stack: a text of
//! brackets alone would end the process. So the depth is bounded before anything is parsed. What is counted is never less than
//! the depth of the tree: brackets and `if` nest, and a chain (`a || b || c`, `a.b.c`, `1 + 1 + 1`) leans to one side, a level
//! for each link.

/// Deepest nesting of brackets and `if`. The parser takes some ten kilobytes of stack for each in an unoptimised build, and a
/// thread has two megabytes.
const NESTED: usize = 32;

/// Deepest tree: what is nested, and the links of the chains that it lies in.
const DEEP: usize = 256;

/// An expression that is open at a place of the text, or a list of them.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// `if`, each of which holds what comes after it.
    ifs: usize,
    /// Links `||` and `&&`; what they link lies below all of them, at worst.
    links: usize,
    /// The deepest of what they link so far.
    linked: usize,
    /// Other operators since the last link.
    operators: usize,
    /// The deepest brackets since the last link.
    inner: usize,
    /// The deepest of the expressions before it in the list.
    before: usize,
}

impl Level {
    fn operand(self) -> usize {
        self.linked.max(self.operators + self.inner)
    }

    fn depth(self) -> usize {
        self.before.max(self.ifs + self.links + self.operand())
    }

    fn read(&mut self, word: &str) {
        match word {
            "," | ";" => {
                *self = Self {
                    before: self.depth(),
                    ..Self::default()
                };
            }
            "if" => self.ifs += 1,
            "|" | "&" => {
                *self = Self {
                    links: self.links + 1,
                    linked: self.operand(),
                    operators: 0,
                    inner: 0,
                    ..*self
                };
            }
            // Of several conditions, calls and indices each hangs on the one before it: their brackets count as well.
            "." | "!" | "-" | "+" | "*" | "/" | "%" | "<" | ">" | "=" | "in" | "has" | "like" | "is" | "(" | "["
            | "{" => self.operators += 1,
            _ => {}
        }
    }
}

/// Checks the depth of a text.
///
/// # Errors
/// Where it is too deep, as an offset in bytes, and what may be.
pub fn check(text: &str) -> Result<(), (usize, &'static str)> {
    let (mut outer, mut level) = (Vec::new(), Level::default());
    let mut words = Words { text, at: 0 };
    while let Some((at, word)) = words.next_word() {
        if matches!(word, ")" | "]" | "}") {
            level = close(level, outer.pop().unwrap_or_default());
        }
        level.read(word);
        if matches!(word, "(" | "[" | "{") {
            outer.push(std::mem::take(&mut level));
        }
        let ifs = level.ifs + outer.iter().map(|level: &Level| level.ifs).sum::<usize>();
        if outer.len() + ifs > NESTED {
            return Err((at, "brackets and if are nested more than 32 deep"));
        }
        if level.depth() > DEEP {
            return Err((at, CHAINED));
        }
    }
    // What was never closed is no policy, and does not depend on the parser to find that out.
    while let Some(next) = outer.pop() {
        level = close(level, next);
    }
    if level.depth() > DEEP {
        Err((text.len(), CHAINED))
    } else {
        Ok(())
    }
}

const CHAINED: &str = "more than 256 operators that hang on each other; make several statements of it";

fn close(closed: Level, outer: Level) -> Level {
    Level {
        inner: outer.inner.max(closed.depth() + 1),
        ..outer
    }
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
            "[1, 2].contains(1) && ".repeat(49) + "true",
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
            assert!(check(&nest(open, close, 33)).is_err(), "{open}");
            assert_eq!(check(&nest(open, close, 28)), Ok(()), "{open}");
        }
        let else_if = "if true then 1 else ".repeat(33) + "1";
        assert!(check(&when(&else_if)).is_err());
        for link in [
            " || true", " && true", " + 1", " - 1", " * 1", ".a", " == 1", "[\"a\"]", "(1)", "!", "-",
        ] {
            assert!(check(&when(&format!("a{}", link.repeat(300)))).is_err(), "{link}");
        }
        // Each pair hangs below the links that come after it.
        let below = nest("(", &(" || true".repeat(40) + ")"), 28);
        assert!(check(&below).is_err());
        assert_eq!(check(&nest("(", &(" || true".repeat(5) + ")"), 28)), Ok(()));
        let first = format!("{} || {}", "a + ".repeat(150) + "a", "b || ".repeat(150) + "b");
        assert!(check(&when(&first)).is_err());
        assert_eq!(
            check(&when(&("a.b == \"x\" || ".repeat(200) + "c"))),
            Ok(()),
            "operators beside each other do not add up"
        );
        let (at, _) = check(&nest("(", ")", 70)).expect_err("too deep");
        assert_eq!(
            at,
            when("").find('{').expect("a bracket") + 2 + 31,
            "the first bracket too many"
        );
    }
}
