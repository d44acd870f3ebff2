//! What a connection says of a file that has a front matter: what the file itself does not.
//!
//! A field of a request wins over the front matter, all of the metadata at once. So what the file may say is not sent beside
//! its text but written into its front matter, where that does not name it. Only `source` is written over. Pure.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use aeterna_kit::yaml::walk;

/// What is said of a file that does not say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    /// The kind.
    pub kind: Option<&'a str>,
    /// The status.
    pub status: Option<&'a str>,
    /// Where the file is from.
    pub source: &'a Value,
}

/// What a front matter says. The keys that the knowledge service reads as text are read so, or `3.10` would become `3.1`.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<String>,
    #[serde(flatten)]
    metadata: Map<String, Value>,
}

/// Longest front matter that is read, in bytes: the knowledge service takes none that is longer.
const LONGEST: usize = 32 * 1024;

/// What its values may hold, in bytes: aliases stand for more than is written.
const MOST: usize = 4 << 20;

/// Writes into a text's front matter what is said of it and does not stand there. Nothing where a text has no front matter.
pub(super) fn complete(text: &str, said: Said<'_>) -> Option<String> {
    let (yaml, rest) = split(text)?;
    let Some(mut keys) = read(yaml) else {
        // The knowledge service says what is wrong with it.
        return Some(text.to_owned());
    };
    keys.kind = keys.kind.or_else(|| said.kind.map(str::to_owned));
    keys.status = keys.status.or_else(|| said.status.map(str::to_owned));
    keys.metadata.insert("source".to_owned(), said.source.clone());
    Some(format!("---\n{}\n{rest}", to_yaml(&keys)?))
}

fn read(yaml: &str) -> Option<Keys> {
    if yaml.len() > LONGEST || walk(serde_yaml_ng::Deserializer::from_str(yaml), MOST).is_err() {
        return None;
    }
    serde_yaml_ng::from_str::<Option<Keys>>(yaml)
        .ok()
        .map(Option::unwrap_or_default)
}

/// Writes JSON, which is YAML where the characters that YAML does not take as they are stand by their numbers.
fn to_yaml(keys: &Keys) -> Option<String> {
    let json = serde_json::to_string(keys).ok()?;
    let is_taken = |c: char| {
        !matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut yaml = String::with_capacity(json.len());
    for c in json.chars() {
        if is_taken(c) {
            yaml.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(yaml, "\\u{:04x}", u32::from(c));
        }
    }
    Some(yaml)
}

/// Splits a text behind the lines of its front matter, as the knowledge service does; the rest begins with the closing line.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let opened = text.strip_prefix("---")?.trim_start_matches([' ', '\t', '\r']);
    let opened = opened.strip_prefix('\n')?;
    let is_closing = |line: &&str| line.starts_with(['-', '.']) && matches!(line.trim_end(), "---" | "...");
    let lines = opened.split_inclusive('\n');
    let yaml: usize = lines.take_while(|line| !is_closing(line)).map(str::len).sum();
    let (yaml, rest) = opened.split_at_checked(yaml)?;
    // One that is never closed is for knowledge to refuse.
    (!rest.is_empty()).then_some((yaml, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completed(text: &str) -> Option<String> {
        let said = Said {
            kind: Some("adr"),
            status: Some("accepted"),
            source: &json!({"type": "import"}),
        };
        complete(text, said)
    }

    /// What is said in the end, with the source left out, and what follows it.
    fn says(text: &str) -> (Value, String) {
        let completed = completed(text).expect("it has a front matter");
        let (yaml, rest) = split(&completed).expect("it still has one");
        let mut keys: Map<String, Value> = serde_json::from_str(yaml).expect("JSON");
        assert_eq!(keys.remove("source"), Some(json!({"type": "import"})), "{text:?}");
        (Value::Object(keys), rest.to_owned())
    }

    #[test]
    fn a_text_without_front_matter_has_none_to_be_completed() {
        for text in [
            "# Title",
            "--- a\nb: c\n---\n",
            "text\n---\na: b\n---\n",
            "---\nopen: yes\n",
            "",
            "---",
        ] {
            assert_eq!(completed(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_file_names_stays() {
        let yaml = "status: draft\nkind: note\nowner: ann\nsources: [a, b]\nsource: elsewhere\n";
        let expected = json!({"status": "draft", "kind": "note", "owner": "ann", "sources": ["a", "b"]});
        let text = format!("---\n{yaml}---\nkind: text\n");
        assert_eq!(says(&text), (expected, "---\nkind: text\n".to_owned()));
        for kind in [
            "\"kind\": note",
            "'kind' : note",
            "? kind\n: note",
            "{kind: note}",
            "  kind: note\r",
        ] {
            let expected = json!({"kind": "note", "status": "accepted"});
            assert_eq!(says(&format!("---\n{kind}\n---\nx")).0, expected, "{kind}");
        }
    }

    #[test]
    fn what_a_file_does_not_name_is_said() {
        for yaml in [
            "",
            "# kind: note\n",
            "kind:\nstatus: ~\n",
            "a:\n  kind: note\n  status: draft\n",
            "text: |\n  kind: note\n\n  status: draft\n",
        ] {
            for close in ["---", "...", "--- "] {
                let (keys, rest) = says(&format!("---\n{yaml}{close}\nbody"));
                assert_eq!(
                    (&keys["kind"], &keys["status"]),
                    (&json!("adr"), &json!("accepted")),
                    "{yaml}"
                );
                assert_eq!(rest, format!("{close}\nbody"));
            }
        }
    }

    #[test]
    fn a_mark_and_line_ends_of_another_system_are_no_other_front_matter() {
        let (keys, rest) = says("\u{feff}--- \r\nkind: note\r\nstatus: draft\r\n---\r\nbody\r\n");
        assert_eq!(
            (keys, rest.as_str()),
            (json!({"kind": "note", "status": "draft"}), "---\r\nbody\r\n")
        );
    }

    #[test]
    fn text_stays_as_it_is_written() {
        let yaml =
            "title: 1.10\nsummary: True\ntags: [3.10, 0x10]\nodd: \"\\x7f\\x85\\u2028\"\nkind: note\nstatus: draft\n";
        let expected = json!({
            "title": "1.10", "summary": "True", "tags": ["3.10", "0x10"], "odd": "\u{7f}\u{85}\u{2028}", "kind": "note",
            "status": "draft",
        });
        let text = format!("---\n{yaml}---\nbody");
        assert_eq!(says(&text).0, expected);
        let completed = completed(&text).expect("it has one");
        let (yaml, _) = split(&completed).expect("it still has one");
        assert!(yaml.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{yaml:?}");
        let again: Map<String, Value> = serde_yaml_ng::from_str(yaml).expect("YAML");
        assert_eq!(again["odd"], expected["odd"]);
    }

    #[test]
    fn what_cannot_be_read_is_sent_as_it_is() {
        let long = format!("a: {}", "x".repeat(LONGEST));
        let bomb = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(9_000), vec!["*a"; 6_000].join(","));
        for yaml in ["kind: [", "- kind", "kind", "kind: a\nkind: b", &long, &bomb] {
            let text = format!("---\n{yaml}\n---\nbody");
            assert_eq!(completed(&text), Some(text));
        }
    }

    #[test]
    fn what_is_said_stays_one_line_whatever_it_holds() {
        let source = json!({"reference": "a \"b\": #c\n---\n.md"});
        let said = Said {
            kind: Some("a\nstatus: x"),
            status: None,
            source: &source,
        };
        let text = complete("---\na: b\n---\nbody", said).expect("it has one");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
