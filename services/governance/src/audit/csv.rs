//! Events as comma-separated values (RFC 4180), for spreadsheets.

use serde_json::Value;

/// The columns, each a pointer into an event.
const COLUMNS: [(&str, &str); 16] = [
    ("seq", "/seq"),
    ("at", "/at"),
    ("actorType", "/actor/type"),
    ("actorId", "/actor/id"),
    ("onBehalfOf", "/actor/onBehalfOf"),
    ("action", "/action"),
    ("targetType", "/target/type"),
    ("targetId", "/target/id"),
    ("outcome", "/outcome"),
    ("requestId", "/requestId"),
    ("via", "/via"),
    ("decisionId", "/decisionId"),
    ("userAgent", "/userAgent"),
    ("details", "/details"),
    ("prevHash", "/prevHash"),
    ("hash", "/hash"),
];

/// Writes a table with its head.
#[must_use]
pub fn write(events: &[Value]) -> String {
    let mut text = COLUMNS.map(|(name, _)| name).join(",");
    text.push_str("\r\n");
    for event in events {
        let cells: Vec<String> = COLUMNS
            .iter()
            .map(|(_, pointer)| cell(event.pointer(pointer)))
            .collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    // A spreadsheet takes such a cell for a formula, and these texts come from callers.
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn separators_are_quoted_and_formulas_are_not() {
        let event = json!({"seq": 1, "actor": {"id": "=cmd()"}, "userAgent": "a \"b\", c"});
        let table = write(&[event]);
        let line = table.lines().nth(1).expect("a row");
        assert_eq!(line, "1,,,'=cmd(),,,,,,,,,\"a \"\"b\"\", c\",,,");
    }
}
