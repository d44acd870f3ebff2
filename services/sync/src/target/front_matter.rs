//! What a connection says of a file that has a front matter: what the file itself does not.
//!
//! A field of a request wins over the front matter, all of the metadata at once. So what the file may say is not sent beside
//! its text but written into its front matter, where that does not name it. Only `source` is written over. Pure.

use serde_json::{Map, Value};

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

/// Writes into a text's front matter what is said of it and does not stand there. Nothing where a text has no front matter.
pub(super) fn complete(text: &str, said: Said<'_>) -> Option<String> {
    let (yaml, rest) = split(text)?;
    let Ok(keys) = serde_yaml_ng::from_str::<Option<Map<String, Value>>>(yaml) else {
        // The knowledge service says what is wrong with it.
        return Some(text.to_owned());
    };
    let mut keys = keys.unwrap_or_default();
    for (key, value) in [("kind", said.kind), ("status", said.status)] {
        let is_named = keys.get(key).is_some_and(|named| !named.is_null());
        if let Some(value) = value.filter(|_| !is_named) {
            keys.insert(key.to_owned(), Value::from(value));
        }
    }
    keys.insert("source".to_owned(), said.source.clone());
    // JSON is YAML.
    Some(format!("---\n{}\n{rest}", Value::Object(keys)))
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
    fn what_cannot_be_read_is_sent_as_it_is() {
        for yaml in ["kind: [", "- kind", "kind"] {
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
