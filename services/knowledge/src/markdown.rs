//! As much of Markdown as the service must understand: headings, sections, prose, sentences, words.
//!
//! Pure, and tolerant: any text is Markdown. What stands in code, fenced or indented by a fence, is never a heading.

use std::collections::BTreeSet;

/// A heading and what stands below it, to the next heading of its level or a higher one.
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

/// A line of a text.
struct Line<'a> {
    /// Where it begins.
    at: usize,
    text: &'a str,
    what: What<'a>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What<'a> {
    /// In fenced code, its fences included.
    Code,
    /// A heading: its level and its text.
    Heading(usize, &'a str),
    /// The line below a heading that makes it one.
    Underline,
    /// Anything else.
    Prose,
}

impl Line<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }

    fn is_blank(&self) -> bool {
        self.what == What::Prose && self.text.trim().is_empty()
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let (mut at, mut fence): (usize, Option<(char, usize)>) = (0, None);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for whole in text.split_inclusive('\n') {
        let begin = at;
        at += whole.len();
        let text = whole.trim_end_matches(['\n', '\r']);
        let marks = fence_of(text);
        let mut what = What::Code;
        match (fence, marks) {
            (None, Some(opened)) => fence = Some(opened),
            (Some((mark, count)), Some((closing, found))) if mark == closing && found >= count && is_bare(text) => {
                fence = None;
            }
            (Some(_), _) => {}
            (None, None) => what = heading(text).map_or(What::Prose, |(level, title)| What::Heading(level, title)),
        }
        if what == What::Prose
            && let Some(level) = underline(text)
            && let Some(title) = underlined(&lines)
            && let Some(above) = lines.last_mut()
        {
            above.what = What::Heading(level, title);
            what = What::Underline;
        }
        lines.push(Line { at: begin, text, what });
    }
    lines
}

/// Returns the lines of a text that stand in no fenced code.
pub fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = lines(text).into_iter();
    lines.filter(|line| line.what != What::Code).map(|line| line.text)
}

/// Reads what opens or closes fenced code. What follows backticks has none itself: else it is code within a line.
fn fence_of(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = line.trim_start_matches(mark);
    let count = line.len() - rest.len();
    (count >= 3 && !(mark == '`' && rest.contains('`'))).then_some((mark, count))
}

fn is_bare(line: &str) -> bool {
    line.trim().trim_matches(['`', '~']).is_empty()
}

/// Reads a heading with number signs before it; a tag such as `#retry` is none.
fn heading(line: &str) -> Option<(usize, &str)> {
    let indented = line.trim_start_matches(' ');
    let level = indented.chars().take_while(|c| *c == '#').count();
    let rest = indented.get(level..)?;
    let is_heading = line.len() - indented.len() <= 3
        && (1..=6).contains(&level)
        && (rest.is_empty() || rest.starts_with([' ', '\t']));
    is_heading.then(|| (level, rest.trim().trim_end_matches('#').trim_end()))
}

/// Reads the level that a line gives to the one above it.
fn underline(line: &str) -> Option<usize> {
    let line = line.trim();
    let mark = line.chars().next()?;
    let level = match mark {
        '=' => 1,
        '-' => 2,
        _ => return None,
    };
    line.trim_matches(mark).is_empty().then_some(level)
}

/// Returns the last line as a heading's text, if an underline makes it one: a paragraph of one line. Lists, quotes, tables and
/// code are none, and what ends a paragraph of several lines is rather a rule below it.
fn underlined<'a>(lines: &[Line<'a>]) -> Option<&'a str> {
    let above = lines.last().filter(|line| line.what == What::Prose)?;
    let before = lines.len().checked_sub(2).and_then(|at| lines.get(at));
    let alone = before.is_none_or(|line| line.is_blank() || line.what != What::Prose);
    let text = above.text.trim();
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let listed = text.starts_with(['-', '*', '+', '>', '|'])
        || (number.len() < text.len() && number.starts_with(['.', ')']))
        || above.text.starts_with("    ")
        || above.text.starts_with('\t');
    (alone && !listed && !text.is_empty()).then_some(text)
}

/// Returns the sections of a text, in order. What stands before the first heading belongs to none.
#[must_use]
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let lines = lines(text);
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let What::Heading(level, title) = line.what else {
            continue;
        };
        let below = lines.get(place + 1..).unwrap_or_default();
        let ends = |other: &&Line<'_>| matches!(other.what, What::Heading(next, _) if next <= level);
        let end = below.iter().find(ends).map_or(text.len(), |next| next.at);
        let begin = match below.first() {
            Some(under) if under.what == What::Underline => under.end(),
            _ => line.end(),
        };
        found.push(Section {
            level,
            title,
            text: text.get(begin..end).unwrap_or_default().trim(),
        });
    }
    found
}

/// Tells whether a text says anything but headings.
#[must_use]
pub fn has_text(text: &str) -> bool {
    lines(text)
        .iter()
        .any(|line| matches!(line.what, What::Code | What::Prose) && !line.text.trim().is_empty())
}

/// Returns the text of the first heading of level 1.
#[must_use]
pub fn title(text: &str) -> Option<&str> {
    lines(text).into_iter().find_map(|line| match line.what {
        What::Heading(1, title) if !title.is_empty() => Some(title),
        What::Heading(..) | What::Code | What::Underline | What::Prose => None,
    })
}

/// Returns the paragraphs of a text: runs of lines of prose, without headings, code and rules.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<&str> {
    let (mut found, mut open): (Vec<&str>, Option<(usize, usize)>) = (Vec::new(), None);
    for line in lines(text) {
        let is_prose = line.what == What::Prose && line.text.contains(char::is_alphanumeric);
        let end = line.end();
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
    fn sections_end_where_the_next_of_their_level_begins() {
        let found = sections("before\n## One ##\na\n### Part\nb\n\n## 2. Two:\nc\n# Three\n");
        let found: Vec<(&str, usize, &str)> = found.iter().map(|one| (one.title, one.level, one.text)).collect();
        assert_eq!(
            found,
            [
                ("One", 2, "a\n### Part\nb"),
                ("Part", 3, "b"),
                ("2. Two:", 2, "c"),
                ("Three", 1, "")
            ]
        );
        assert_eq!(sections("## 2. Two:\nc")[0].name(), "two");
    }

    #[test]
    fn an_underlined_line_is_a_heading_and_a_rule_is_none() {
        let text =
            "Store\n=====\n\nContext\n---\nWe need one.\n\nOne more line\nand another\n---\n- item\n---\n\n---\nend";
        let found: Vec<(usize, &str)> = sections(text).iter().map(|one| (one.level, one.title)).collect();
        assert_eq!(found, [(1, "Store"), (2, "Context")]);
        assert_eq!(title(text), Some("Store"));
        assert_eq!(
            paragraphs(text),
            ["We need one.", "One more line\nand another", "- item", "end"]
        );
    }

    #[test]
    fn code_within_a_line_opens_no_fence() {
        let text = "```kubectl get``` shows it\n# Yes\n~~~ a`b\n# no\n~~~\n";
        assert_eq!(title(text), Some("Yes"));
        assert_eq!(sections(text).len(), 1);
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
