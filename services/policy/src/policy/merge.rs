//! What policies of one name in several layers say together.
//!
//! Top down: company, org, team, project. What is mandatory stays; a lower policy that would override or thin it out is
//! passed over. Policies of different names do not touch each other. The result is in a fixed order, so the same policies
//! give the same set.

use super::{Document, Kind, MergeStrategy, Mode};

/// One part of what is in force: a rule of a constraint policy, or the whole of a Cedar policy (rule 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Which of the policies.
    pub policy: usize,
    /// Which of its rules.
    pub rule: usize,
}

/// Merges policies; all of them are in force and speak about the place in question.
#[must_use]
pub fn merge(policies: &[&Document]) -> Vec<Part> {
    let mut order: Vec<usize> = (0..policies.len()).collect();
    let document = |n: &usize| policies.get(*n);
    order.sort_by_key(|n| document(n).map(|it| (it.kind == Kind::Cedar, it.name.as_str(), it.layer, it.scope.clone())));
    let mut parts: Vec<Part> = Vec::new();
    for group in order.chunk_by(|a, b| {
        let name = |n: &usize| document(n).map(|it| (it.kind, it.name.as_str()));
        name(a) == name(b)
    }) {
        let mut together = Vec::new();
        for n in group {
            if let Some(lower) = document(n) {
                lay(policies, &mut together, *n, lower);
            }
        }
        parts.append(&mut together);
    }
    parts.sort_unstable();
    parts
}

fn lay(policies: &[&Document], parts: &mut Vec<Part>, n: usize, lower: &Document) {
    let is_mandatory = |part: &Part| policies.get(part.policy).is_some_and(|it| it.mode == Mode::Mandatory);
    let key = |part: &Part| {
        let document = policies.get(part.policy)?;
        // Cedar policies have no rules by id: two of them never are the same part.
        document.rules.get(part.rule).map(|rule| rule.id.as_str())
    };
    let count = if lower.kind == Kind::Cedar {
        1
    } else {
        lower.rules.len()
    };
    let mut own: Vec<Part> = (0..count).map(|rule| Part { policy: n, rule }).collect();
    let has =
        |parts: &[Part], part: &Part| key(part).is_some_and(|id| parts.iter().any(|other| key(other) == Some(id)));
    if !parts.is_empty() {
        match lower.merge_strategy {
            MergeStrategy::Override if parts.iter().any(is_mandatory) => return,
            MergeStrategy::Override => parts.clear(),
            MergeStrategy::Merge => {
                own.retain(|part| !parts.iter().any(|upper| is_mandatory(upper) && has(&[*upper], part)));
                parts.retain(|part| is_mandatory(part) || !has(&own, part));
            }
            MergeStrategy::Intersect => {
                parts.retain(|part| is_mandatory(part) || has(&own, part));
                return;
            }
        }
    }
    parts.append(&mut own);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn policy(layer: &str, mode: &str, strategy: &str, rules: &[&str]) -> Document {
        let rules: Vec<_> = rules
            .iter()
            .map(|id| json!({"id": id, "target": "code", "operator": "must_use", "value": layer, "severity": "warn", "message": "m"}))
            .collect();
        serde_json::from_value(json!({
            "name": "style", "type": "constraint", "layer": layer, "mode": mode, "mergeStrategy": strategy, "rules": rules,
        }))
        .expect("a document")
    }

    fn merged(policies: &[Document]) -> Vec<String> {
        let policies: Vec<&Document> = policies.iter().collect();
        let name = |part: Part| {
            format!(
                "{:?}.{}",
                policies[part.policy].layer, policies[part.policy].rules[part.rule].id
            )
        };
        merge(&policies).into_iter().map(name).collect()
    }

    #[test]
    fn an_optional_policy_can_be_overridden_thinned_out_and_added_to() {
        let upper = policy("company", "optional", "merge", &["a", "b"]);
        let with = |strategy| merged(&[upper.clone(), policy("team", "optional", strategy, &["b", "c"])]);
        assert_eq!(with("override"), ["Team.b", "Team.c"]);
        assert_eq!(with("merge"), ["Company.a", "Team.b", "Team.c"]);
        assert_eq!(with("intersect"), ["Company.b"]);
    }

    #[test]
    fn a_mandatory_policy_stays_and_can_only_be_added_to() {
        let upper = policy("company", "mandatory", "merge", &["a", "b"]);
        let with = |strategy| merged(&[upper.clone(), policy("team", "optional", strategy, &["b", "c"])]);
        assert_eq!(with("override"), ["Company.a", "Company.b"]);
        assert_eq!(with("merge"), ["Company.a", "Company.b", "Team.c"]);
        assert_eq!(with("intersect"), ["Company.a", "Company.b"]);
    }

    fn any_policy() -> impl Strategy<Value = Document> {
        let layer = prop::sample::select(vec!["company", "org", "team", "project"]);
        let mode = prop::sample::select(vec!["mandatory", "optional"]);
        let strategy = prop::sample::select(vec!["override", "merge", "intersect"]);
        let rules = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
        (layer, mode, strategy, rules).prop_map(|(layer, mode, strategy, rules)| policy(layer, mode, strategy, &rules))
    }

    proptest! {
        #[test]
        fn a_rule_of_the_topmost_mandatory_policy_is_always_in_force(
            top in any_policy(), lower in proptest::collection::vec(any_policy(), 0..5)
        ) {
            let top = Document { layer: super::super::Layer::Company, mode: Mode::Mandatory, ..top };
            let lower: Vec<Document> = lower
                .into_iter()
                .filter(|policy| policy.layer > super::super::Layer::Company)
                .collect();
            let all: Vec<Document> = std::iter::once(top.clone()).chain(lower).collect();
            let parts = merge(&all.iter().collect::<Vec<_>>());
            for rule in 0..top.rules.len() {
                let part = Part { policy: 0, rule };
                prop_assert!(parts.contains(&part));
            }
            // Of one rule id, one rule is in force.
            let mut ids: Vec<&str> = parts.iter().map(|part| all[part.policy].rules[part.rule].id.as_str()).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
        }
    }
}
