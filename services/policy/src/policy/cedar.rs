//! Cedar text: parsed and held to the schema when it is written, with the place of what is wrong.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;
use serde_json::Value;
use uuid::Uuid;

use aeterna_kit::problem::FieldError;

use crate::engine::builtin;

/// Most statements of a policy.
const STATEMENTS: usize = 100;

/// Checks a text.
///
/// # Errors
/// What is wrong with it, each with line and column.
pub fn check(text: &str) -> Result<(), Vec<FieldError>> {
    let set = PolicySet::from_str(text)
        .map_err(|errors| errors.iter().map(|error| place(text, error)).collect::<Vec<_>>())?;
    let count = set.num_of_policies();
    if set.num_of_templates() > 0 || !(1..=STATEMENTS).contains(&count) {
        return Err(vec![error("1 to 100 statements, and no templates".to_owned(), None)]);
    }
    let result = Validator::new(builtin::schema().clone()).validate(&set, ValidationMode::Strict);
    let errors: Vec<FieldError> = result.validation_errors().map(|error| place(text, error)).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Parses a text that was checked; its statements are named by policy, version and number.
#[must_use]
pub fn statements(policy: Uuid, version: i32, text: &str) -> Vec<Policy> {
    let Ok(set) = PolicySet::from_str(text) else {
        return Vec::new();
    };
    let name = |statement: &Policy| {
        // Cedar numbers them `policy0`, `policy1`, in the order of the text.
        let id = statement.id().to_string();
        let number = id.strip_prefix("policy").unwrap_or(&id);
        statement.new_id(PolicyId::new(format!("{policy}@{version}#{number}")))
    };
    set.policies().map(name).collect()
}

/// What the schema knows and no service tells at its own door: only who asks the governance service itself can say it.
const UNTOLD: [(&str, &str); 7] = [
    ("context", "environment"),
    ("context", "ip"),
    ("context", "justification"),
    ("context", "mfa"),
    ("context", "risk"),
    ("principal", "department"),
    ("principal", "depth"),
];

/// Returns what a text asks about that no service tells: `context.mfa`. There, such a statement sees it as missing.
#[must_use]
pub fn find_untold(text: &str) -> BTreeSet<String> {
    let Ok(set) = PolicySet::from_str(text) else {
        return BTreeSet::new();
    };
    let mut found = BTreeSet::new();
    for statement in set.policies().filter_map(|statement| statement.to_json().ok()) {
        collect_untold(&statement, &mut found);
    }
    found
}

fn collect_untold(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for asked in [".", "has"].into_iter().filter_map(|operator| fields.get(operator)) {
                let of = asked.pointer("/left/Var").and_then(Value::as_str);
                let name = asked.get("attr").and_then(Value::as_str);
                let known = of.zip(name).filter(|pair| UNTOLD.contains(pair));
                found.extend(known.map(|(of, name)| format!("{of}.{name}")));
            }
            fields.values().for_each(|field| collect_untold(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_untold(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn place(text: &str, problem: &dyn Diagnostic) -> FieldError {
    let offset = problem
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset());
    let message = match problem.help() {
        Some(help) => format!("{problem} ({help})"),
        None => problem.to_string(),
    };
    error(message, offset.map(|offset| line_and_column(text, offset)))
}

fn error(message: String, at: Option<(u32, u32)>) -> FieldError {
    FieldError {
        pointer: "/cedar".to_owned(),
        message,
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
    }
}

/// Where a byte is, in lines and characters from 1.
fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (count(before.matches('\n').count() + 1), count(last.chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> FieldError {
        check(text).expect_err("refused").remove(0)
    }

    #[test]
    fn a_good_text_passes() {
        let text = r#"forbid (principal, action == Action::"memory.delete", resource)
            unless { principal in Role::"Architect" && resource has owner && resource.owner == "me" };"#;
        assert_eq!(check(text), Ok(()));
        assert_eq!(
            statements(Uuid::nil(), 3, text)[0].id().to_string(),
            format!("{}@3#0", Uuid::nil())
        );
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let error = first("permit (principal, action, resource);\n  permit (principal, akshun, resource);");
        assert_eq!((error.line, error.column), (Some(2), Some(22)), "{error:?}");
    }

    #[test]
    fn a_misspelt_attribute_has_its_place() {
        let error =
            first("forbid (principal, action == Action::\"memory.read\", resource)\nwhen { resource.ownr == \"x\" };");
        assert_eq!(error.line, Some(2), "{error:?}");
        assert!(error.message.contains("ownr"), "{error:?}");
    }

    #[test]
    fn an_attribute_that_may_be_missing_must_be_asked_for_first() {
        let text = "forbid (principal, action == Action::\"memory.read\", resource) when { resource.owner == \"x\" };";
        assert!(
            check(text).is_err(),
            "it would fail, and a forbid that fails forbids nothing"
        );
    }

    #[test]
    fn what_no_service_tells_is_found_wherever_it_is_asked_for() {
        let text = r#"forbid (principal, action, resource) when { context has mfa && !context.mfa };
            forbid (principal is User, action == Action::"memory.read", resource)
            unless { principal has department && [principal.department, "mfa"].contains("red") };
            permit (principal, action, resource) when { context has via && context.via == "context.risk" };"#;
        assert_eq!(
            find_untold(text).into_iter().collect::<Vec<_>>(),
            ["context.mfa", "principal.department"]
        );
    }

    #[test]
    fn templates_empty_texts_and_unknown_actions_are_refused() {
        assert!(check("permit (principal == ?principal, action, resource);").is_err());
        assert!(check("// nothing").is_err());
        assert!(check("permit (principal, action == Action::\"memory.fly\", resource);").is_err());
    }

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(line_and_column("äö\nüx", "äö\nü".len()), (2, 2));
        assert_eq!(line_and_column("", 9), (1, 1));
    }
}
