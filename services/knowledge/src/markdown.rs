//! As much of Markdown as the service must understand: headings, sections, prose, sentences, words.
//!
//! Pure, and tolerant: any text is Markdown. What stands in code, fenced or indented by a fence, is never a heading.

use std::collections::BTreeSet;

/// A heading and what stands below it, to the next heading of any level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// 1 to 6.
    pub level: usize,
    /// The heading's text.
    pub title: &'a str,
    /// What stands below it.
    pub text: &'a str,
}

impl Section<'_> {
    /// Returns the heading as a name to look for: lower case, without a number before it or a colon after it.
    #[must_use]
    pub fn name(&self) -> String {
        let unnumbered = self
            .title
            .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | ' '));
        let bare = if unnumbered.is_empty() { self.title } else { unnumbered };
        bare.trim_end_matches([':', ' ']).to_lowercase()
    }
}

/// A line of a text with the place where it begins, and whether it stands in fenced code (its fences included).
struct Line<'a> {
    at: usize,
    text: &'a str,
    code: bool,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let (mut at, mut fence): (usize, Option<(char, usize)>) = (0, None);
    text.split_inclusive('\n').map(move |whole| {
        let begin = at;
        at += whole.len();
        let text = whole.trim_end_matches(['\n', '\r']);
        let marks = fence_of(text);
        let code = match (fence, marks) {
            (None, Some(opened)) => {
                fence = Some(opened);
                true
            }
            (Some((mark, count)), Some((closing, found))) if mark == closing && found >= count && is_bare(text) => {
                fence = None;
                true
            }
            (Some(_), _) => true,
            (None, None) => false,
        };
        Line { at: begin, text, code }
    })
}

/// Returns the lines of a text that stand in no fenced code.
pub fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    lines(text).filter(|line| !line.code).map(|line| line.text)
}

fn fence_of(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let count = line.chars().take_while(|c| *c == mark).count();
    (count >= 3).then_some((mark, count))
}

fn is_bare(line: &str) -> bool {
    line.trim().trim_matches(['`', '~']).is_empty()
}

/// Reads an ATX heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.chars().take_while(|c| *c == '#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    Some((level, rest.trim().trim_end_matches('#').trim_end()))
}

/// Returns the sections of a text, in order. What stands before the first heading belongs to none.
#[must_use]
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let headings: Vec<(Line<'_>, usize, &str)> = lines(text)
        .filter(|line| !line.code)
        .filter_map(|line| heading(line.text).map(|(level, title)| (line, level, title)))
        .collect();
    let ends = headings
        .iter()
        .skip(1)
        .map(|(line, _, _)| line.at)
        .chain(std::iter::once(text.len()));
    headings
        .iter()
        .zip(ends)
        .map(|((line, level, title), end)| Section {
            level: *level,
            title,
            text: text.get(line.at + line.text.len()..end).unwrap_or_default().trim(),
        })
        .collect()
}

/// Returns the text of the first heading of level 1.
#[must_use]
pub fn title(text: &str) -> Option<&str> {
    lines(text)
        .filter(|line| !line.code)
        .find_map(|line| heading(line.text).filter(|(level, title)| *level == 1 && !title.is_empty()))
        .map(|(_, title)| title)
}

/// Returns the paragraphs of a text: runs of lines of prose, without headings, code and rules.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<&str> {
    let (mut found, mut open): (Vec<&str>, Option<(usize, usize)>) = (Vec::new(), None);
    for line in lines(text) {
        let is_prose = !line.code && heading(line.text).is_none() && line.text.contains(char::is_alphanumeric);
        let end = line.at + line.text.len();
        open = match (is_prose, open) {
            (true, Some((begin, _))) => Some((begin, end)),
            (true, None) => Some((line.at, end)),
            (false, Some((begin, end))) => {
                found.extend(text.get(begin..end));
                None
            }
            (false, None) => None,
        };
    }
    found.extend(open.and_then(|(begin, end)| text.get(begin..end)));
    found
}

/// Returns the sentences of a paragraph. A sentence ends with a mark that a space and no small letter follow.
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    let (mut found, mut begin) = (Vec::new(), 0);
    let mut push = |from: usize, to: usize| {
        found.extend(
            text.get(from..to)
                .map(str::trim)
                .filter(|sentence| !sentence.is_empty()),
        );
    };
    for (at, mark) in text.match_indices(['.', '!', '?', '。']) {
        let end = at + mark.len();
        let rest = text.get(end..).unwrap_or_default();
        let next = rest.trim_start().chars().next();
        if rest.starts_with(char::is_whitespace) && !next.is_some_and(char::is_lowercase) {
            push(begin, end);
            begin = end;
        }
    }
    push(begin, text.len());
    found
}

/// Returns the words of a text, in lower case.
#[must_use]
pub fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_end_where_the_next_begins() {
        let found = sections("before\n# One ##\na\nb\n\n## 2. Two:\nc");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].title, found[0].text), ("One", "a\nb"));
        assert_eq!((found[1].name().as_str(), found[1].text), ("two", "c"));
    }

    #[test]
    fn code_is_not_read() {
        assert_eq!(title("~~~sh\n# no\n~~~\n#not either\n# Yes\n"), Some("Yes"));
        assert_eq!(title("```\n# open to the end"), None);
    }

    #[test]
    fn paragraphs_are_prose_and_sentences_end_where_they_end() {
        let text = "# T\nOne line.\nThe same, e.g. this one! And?\n\n```\ncode\n```\n---\nTwo";
        let found = paragraphs(text);
        assert_eq!(found, ["One line.\nThe same, e.g. this one! And?", "Two"]);
        assert_eq!(sentences(found[0]), ["One line.", "The same, e.g. this one!", "And?"]);
    }

    proptest! {
        #[test]
        fn any_text_is_markdown(text in "([#`~ a\\n]|\\PC){0,60}") {
            for section in sections(&text) {
                prop_assert!((1..=6).contains(&section.level));
                prop_assert!(text.contains(section.text));
            }
            for paragraph in paragraphs(&text) {
                prop_assert!(sentences(paragraph).iter().all(|sentence| !sentence.is_empty()));
            }
        }
    }
}
