//! Keys that the library cannot read: it takes each for a path, and one that is none would end the whole list.
//!
//! They are taken out of a list before the library sees it, and are told one by one.

use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

/// What an object of a list stands between.
const OBJECT: (&str, &str) = ("<Contents>", "</Contents>");

/// What its key does.
const KEY: (&str, &str) = ("<Key>", "</Key>");

/// Keys that are no paths, as many as are wanted.
#[derive(Debug, Clone)]
pub(super) struct Odd {
    is_wanted: fn(&str) -> bool,
    below: Arc<str>,
    most: usize,
    found: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    /// Keeps wanted ones below a prefix, and one more than `most` of them.
    pub(super) fn new(below: &str, most: u64, is_wanted: fn(&str) -> bool) -> Self {
        Self {
            is_wanted,
            below: below.into(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            found: Arc::default(),
        }
    }

    /// Returns the keys below the prefix, and forgets them.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes objects whose keys are no paths out of a list. What is no list stays as it is.
    pub(super) fn sift(&self, list: Vec<u8>) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&list) else {
            return list;
        };
        let (mut kept, mut rest, mut is_whole) = (String::with_capacity(text.len()), text, true);
        while let Some((before, object, after)) = cut(rest, OBJECT) {
            kept.push_str(before);
            let key = cut(object, KEY).map(|(_, key, _)| unescape(key)).unwrap_or_default();
            if is_path(&key) {
                kept.extend([OBJECT.0, object, OBJECT.1]);
            } else {
                is_whole = false;
                self.keep(&key);
            }
            rest = after;
        }
        if is_whole {
            return list;
        }
        kept.push_str(rest);
        kept.into_bytes()
    }

    fn keep(&self, key: &str) {
        let Some(path) = key.strip_prefix(&*self.below).filter(|path| (self.is_wanted)(path)) else {
            return;
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() <= self.most {
            found.push(path.to_owned());
        }
    }
}

/// Tells whether the library reads a key as what it is.
fn is_path(key: &str) -> bool {
    // A slash at the end is that of a folder's own object, which nobody wants.
    Path::parse(key).is_ok_and(|path| path.as_ref() == key.strip_suffix('/').unwrap_or(key))
}

/// Returns what is before, between and behind the first pair of marks.
fn cut<'a>(text: &'a str, (begin, end): (&str, &str)) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(begin)?;
    let (between, after) = rest.split_once(end)?;
    Some((before, between, after))
}

/// Reads the text of an XML element without others in it.
fn unescape(text: &str) -> String {
    let (mut read, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, from)) = rest.split_once('&') {
        read.push_str(before);
        let sign = from
            .split_once(';')
            .and_then(|(name, after)| Some((entity(name)?, after)));
        (rest, read) = match sign {
            Some((sign, after)) => (after, read + sign.encode_utf8(&mut [0; 4])),
            None => (from, read + "&"),
        };
    }
    read.push_str(rest);
    read
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &[&str]) -> String {
        let object = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let objects: String = keys.iter().map(object).collect();
        format!("<ListBucketResult><Name>docs</Name>{objects}<IsTruncated>false</IsTruncated></ListBucketResult>")
    }

    #[test]
    fn keys_that_are_no_paths_are_taken_out_and_the_wanted_ones_are_told() {
        let odd = Odd::new("docs/", 10, super::super::is_wanted);
        let keys = [
            "docs/a.md",
            "docs/b//c.md",
            "docs/d/../e.md",
            "docs/&#x1;.md",
            "docs/R&amp;D.md",
            "docs/folder/",
            "/docs/f.md",
            "docs//g.png",
            "other//h.md",
        ];
        let sifted = String::from_utf8(odd.sift(list(&keys).into_bytes())).expect("text");
        assert_eq!(sifted, list(&["docs/a.md", "docs/R&amp;D.md", "docs/folder/"]));
        assert_eq!(odd.take(), ["b//c.md", "d/../e.md", "\u{1}.md"]);
        assert!(odd.take().is_empty());
    }

    #[test]
    fn what_is_no_list_stays_and_no_more_are_kept_than_count() {
        let odd = Odd::new("", 2, |_| true);
        for other in [&b"\xff<Contents>"[..], b"<Contents><Key>a//b", b"a page of somebody"] {
            assert_eq!(odd.sift(other.to_vec()), other);
        }
        odd.sift(list(&["a//1", "a//2", "a//3", "a//4"]).into_bytes());
        assert_eq!(odd.take().len(), 3);
        assert_eq!(unescape("a &lt; b & c &#65;&#x42;&nonsense;"), "a < b & c AB&nonsense;");
    }
}
