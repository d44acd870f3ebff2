use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rule(target: &str, operator: &str, value: &str) -> Rule {
    serde_json::from_value(json!({
        "id": "r", "target": target, "operator": operator, "value": value, "severity": "block", "message": "no",
    }))
    .expect("a rule")
}

fn judge(rule: &Rule, subject: &Subject) -> Finding {
    rule.judge(&rule.compile(), subject)
}

fn subject() -> Subject {
    serde_json::from_value(json!({
        "path": "src/main.rs", "content": "fn main() {\n    println!(\"hi\");\n}\n", "files": ["README.md"],
        "dependencies": ["serde", "openssl-sys"], "imports": ["std::fs"], "config": {"server": {"port": 8003, "tls": true}},
    }))
    .expect("a subject")
}

#[test]
fn each_operator_finds_what_it_is_about() {
    for (target, operator, value, wanted) in [
        ("code", "must_use", "println!", Finding::Holds),
        ("code", "must_not_use", "println!", Finding::Violated),
        ("code", "must_match", "^fn main", Finding::Holds),
        ("code", "must_not_match", r"^\s+println", Finding::Violated),
        ("dependency", "must_not_use", "openssl*", Finding::Violated),
        ("dependency", "must_use", "tokio", Finding::Violated),
        ("dependency", "must_exist", "serde", Finding::Holds),
        ("dependency", "must_match", "^[a-z-]+$", Finding::Holds),
        ("import", "must_not_use", "std::*", Finding::Violated),
        ("file", "must_exist", "README.md", Finding::Holds),
        ("file", "must_not_exist", "**/*.rs", Finding::Violated),
        ("file", "must_match", r"\.rs$", Finding::Violated),
        ("config", "must_exist", "server.tls", Finding::Holds),
        ("config", "must_not_exist", "server.debug", Finding::Holds),
        ("config", "must_match", "server.port=^80", Finding::Holds),
        ("config", "must_match", "server.host=.", Finding::Violated),
    ] {
        let rule = rule(target, operator, value);
        assert_eq!(rule.check(), Ok(()), "{target} {operator}");
        assert_eq!(judge(&rule, &subject()), wanted, "{target} {operator} {value}");
    }
}

#[test]
fn a_denied_must_is_a_must_not_and_a_denied_must_not_is_refused() {
    let mut denied = rule("dependency", "must_use", "serde");
    denied.rule_type = RuleType::Deny;
    assert_eq!(judge(&denied, &subject()), Finding::Violated);
    let mut riddle = rule("dependency", "must_not_use", "serde");
    riddle.rule_type = RuleType::Deny;
    assert_eq!(riddle.check().map_err(|(field, _)| field), Err("ruleType"));
}

#[test]
fn what_was_not_sent_is_unchecked_and_other_paths_hold() {
    let mut rule = rule("dependency", "must_not_use", "serde");
    assert_eq!(judge(&rule, &Subject::default()), Finding::Unchecked);
    rule.applies_to = vec!["docs/**".to_owned()];
    assert_eq!(judge(&rule, &subject()), Finding::Holds);
    rule.applies_to.push("src/*".to_owned());
    assert_eq!(judge(&rule, &subject()), Finding::Violated);
}

#[test]
fn pairs_that_say_nothing_and_expressions_that_do_not_compile_are_refused() {
    for (target, operator, value, field) in [
        ("file", "must_use", "x", "operator"),
        ("code", "must_exist", "x", "operator"),
        ("code", "must_match", "(", "value"),
        ("config", "must_match", "no expression", "value"),
        ("code", "must_use", "", "value"),
        ("file", "must_exist", &"?".repeat(512), "value"),
    ] {
        assert_eq!(
            rule(target, operator, value).check().map_err(|(field, _)| field),
            Err(field),
            "{target} {operator}"
        );
    }
}

proptest! {
    #[test]
    fn the_drift_score_is_the_sum_up_to_one(severities in proptest::collection::vec(0_u8..3, 0..12)) {
        let severities: Vec<Severity> = severities
            .into_iter()
            .map(|n| [Severity::Info, Severity::Warn, Severity::Block][usize::from(n)])
            .collect();
        let score = drift_score(severities.iter().copied());
        prop_assert!((0.0..=1.0).contains(&score));
        prop_assert_eq!(score >= 1.0, severities.iter().map(|severity| severity.tenths()).sum::<u32>() >= 10);
        prop_assert_eq!(score == 0.0, severities.is_empty());
    }
}

#[test]
fn a_rule_looks_at_what_it_is_about_and_at_the_path_once_for_each_place() {
    let subject: Subject = serde_json::from_value(json!({
        "path": "a/b.rs", "content": "let x = 1;", "dependencies": ["serde"], "config": {"a": "b"},
    }))
    .expect("a subject");
    let sizes = subject.sizes();
    let looks_at = |target: &str, operator: &str, value: &str| rule(target, operator, value).looks_at(&sizes);
    assert_eq!(looks_at("code", "must_not_match", "x"), 10);
    assert_eq!(looks_at("file", "must_exist", "x"), 6);
    assert_eq!(looks_at("dependency", "must_not_use", "x"), 5 + ENTRY);
    assert_eq!(looks_at("import", "must_not_use", "x"), 0);
    assert_eq!(looks_at("config", "must_match", "a=b"), r#"{"a":"b"}"#.len());
    let placed = Rule {
        applies_to: vec!["*".to_owned(), "**".to_owned()],
        ..rule("code", "must_not_match", "x")
    };
    assert_eq!(placed.looks_at(&sizes), 10 + 2 * 6);
}
