//! Cedar text: parsed and held to the schema when it is written, with the place of what is wrong.

use std::str::FromStr as _;

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;
use uuid::Uuid;

use aeterna_kit::problem::FieldError;

use super::nesting;
use crate::engine::builtin;

/// Most statements of a policy.
const STATEMENTS: usize = 100;

/// Checks a text. It takes some milliseconds for a long one.
///
/// # Errors
/// What is wrong with it, each with line and column.
pub fn check(text: &str) -> Result<(), Vec<FieldError>> {
    nesting::check(text).map_err(|(at, message)| vec![error(message.to_owned(), Some(line_and_column(text, at)))])?;
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

    /// What the limit lets through is taken on the stack of any thread; beyond it nothing is parsed, and the process lives.
    #[test]
    fn a_text_as_deep_as_the_limit_is_taken_and_one_that_is_deeper_is_refused_with_its_place() {
        let text = |expression: String| format!("forbid (principal, action, resource) when {{ {expression} }};");
        let nest = |open: &str, close: &str, count: usize| text(open.repeat(count) + "true" + &close.repeat(count));
        for deep in [
            nest("(", ")", 31),
            nest("if true then ", " else true", 31),
            nest("if true then (true && !(", ")) else true", 10),
            nest("[", "].contains(true)", 31),
            text("true || ".repeat(240) + "true"),
            text("1 + ".repeat(240) + "1 == 1"),
            nest("(", " || true || true || true || true || true || true)", 31),
            text("true || (".repeat(31) + &"true && ".repeat(150) + "true" + &")".repeat(31)),
            text("true || (if true then ".repeat(15) + &"true && ".repeat(150) + "true" + &" else true)".repeat(15)),
        ] {
            let _ = check(&deep);
            let statements = statements(Uuid::nil(), 1, &deep);
            assert_eq!(statements.len(), 1, "{deep}");
            let slice = crate::engine::Slice::of(statements);
            assert!(!slice.decide(&crate::engine::Question::default()).allowed);
            assert!(crate::policy::untold::find(&deep).is_empty());
        }
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{a: ", "}"),
            ("if true then ", " else true"),
            ("!", ""),
            ("-", ""),
        ] {
            let count = 64 * 1024 / (open.len() + close.len()) - 100;
            let error = first(&nest(open, close, count));
            assert!(error.line == Some(1) && error.message.contains("than"), "{error:?}");
        }
        for chain in [" || true", " && true", " + 1", ".a"] {
            assert!(check(&text(format!("a{}", chain.repeat(64 * 1024 / chain.len() - 10)))).is_err());
        }
        let conditions = "forbid (principal, action, resource)".to_owned() + &" when { true }".repeat(4_000) + ";";
        assert!(check(&conditions).is_err());
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
