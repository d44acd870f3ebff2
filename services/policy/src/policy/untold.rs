//! What a Cedar text asks about that no service tells at its own door. There, a statement sees it as missing.
//!
//! The schema knows more than services tell: only who asks the governance service itself can say it. [`TOLD`] is what the
//! services' permissions tell of a thing, by action; a test of the workspace holds it to them.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{ActionConstraint, Policy, PolicySet, ResourceConstraint};
use serde_json::Value;

use crate::engine::{attributes, is_about};
use crate::rbac::{Action, action};

/// What services tell of the thing that an action is done to, at their door or where a handler asks again. Of actions that are
/// not listed they tell nothing but its id, or are not asked at all.
pub const TOLD: &[(&str, &[&str])] = &[
    ("memory.read", &["labels", "layer", "owner"]),
    ("memory.search", &["labels", "layer", "owner"]),
    ("memory.create", &["labels", "layer", "owner"]),
    ("memory.delete", &["labels", "layer", "owner"]),
    ("knowledge.read", &["kind", "layer", "path", "status"]),
    ("knowledge.search", &["kind", "layer", "path", "status"]),
    ("knowledge.propose", &["kind", "layer", "path", "status"]),
    ("knowledge.edit", &["kind", "layer", "path", "status"]),
    ("knowledge.accept", &["kind", "layer", "path", "status"]),
    ("sync.start", &["source"]),
];

/// What they tell beside: of who asks, and of the circumstances.
const TOLD_BESIDE: [(&str, &str); 3] = [("principal", "onBehalfOf"), ("context", "time"), ("context", "via")];

/// Returns what a text asks about that no service tells: `context.mfa`; of a thing with the action, where the statement names
/// any: `resource.layer of sync.start`.
#[must_use]
pub fn find(text: &str) -> BTreeSet<String> {
    let Ok(set) = PolicySet::from_str(text) else {
        return BTreeSet::new();
    };
    let mut found = BTreeSet::new();
    for statement in set.policies() {
        let Ok(spelt) = statement.to_json() else { continue };
        let actions = Actions::of(statement);
        collect(&spelt, &mut |of, asked| found.extend(actions.untold(of, asked)));
    }
    found
}

/// The actions that a statement may speak about.
struct Actions {
    actions: Vec<Action>,
    are_named: bool,
}

impl Actions {
    fn of(statement: &Policy) -> Self {
        let kind = match statement.resource_constraint() {
            ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => Some(kind.to_string()),
            ResourceConstraint::Eq(uid) => Some(uid.type_name().to_string()),
            ResourceConstraint::Any | ResourceConstraint::In(_) => None,
        };
        let fits = |action: &&Action| {
            is_about(statement, action.name) && kind.as_ref().is_none_or(|kind| kind == action.resource)
        };
        Self {
            actions: action::ALL.iter().filter(fits).copied().collect(),
            are_named: statement.action_constraint() != ActionConstraint::Any,
        }
    }

    /// Says what of an attribute is untold. A statement about every action is told something as soon as one tells it.
    fn untold(&self, of: &str, asked: Asked<'_>) -> Vec<String> {
        let Asked::Attribute(name) = asked else {
            return vec![format!("a tag of {of}")];
        };
        if of != "resource" {
            let is_told = TOLD_BESIDE.contains(&(of, name));
            return (!is_told).then(|| format!("{of}.{name}")).into_iter().collect();
        }
        let has = |action: &&Action| attributes::declares(action.resource, name);
        let (told, untold): (Vec<&Action>, Vec<&Action>) = self
            .actions
            .iter()
            .filter(has)
            .partition(|action| is_told(action.name, name));
        if self.are_named {
            return untold
                .iter()
                .map(|action| format!("{of}.{name} of {}", action.name))
                .collect();
        }
        (told.is_empty() && !untold.is_empty())
            .then(|| format!("{of}.{name}"))
            .into_iter()
            .collect()
    }
}

fn is_told(action: &str, attribute: &str) -> bool {
    let told = TOLD.iter().find(|(name, _)| *name == action);
    told.is_some_and(|(_, told)| told.contains(&attribute))
}

/// What a statement asks about of a variable.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Attribute(&'a str),
    Tag,
}

/// Finds what is asked of variables, in the JSON of a statement.
fn collect<'a>(value: &'a Value, found: &mut dyn FnMut(&'a str, Asked<'a>)) {
    match value {
        Value::Object(fields) => {
            for (operator, asked) in fields {
                let Some(of) = asked.pointer("/left/Var").and_then(Value::as_str) else {
                    continue;
                };
                match (operator.as_str(), asked.get("attr").and_then(Value::as_str)) {
                    ("." | "has", Some(name)) => found(of, Asked::Attribute(name)),
                    ("hasTag" | "getTag", _) => found(of, Asked::Tag),
                    _ => {}
                }
            }
            fields.values().for_each(|field| collect(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        find(text).into_iter().collect()
    }

    #[test]
    fn what_no_service_tells_is_found_wherever_it_is_asked_for() {
        let text = r#"forbid (principal, action, resource) when { context has mfa && !context.mfa };
            forbid (principal is User, action == Action::"memory.read", resource)
            unless { principal has department && [principal.department, "mfa"].contains("red") };
            permit (principal, action, resource) when { context has via && context.via == "context.risk" };"#;
        assert_eq!(
            find(text).into_iter().collect::<Vec<_>>(),
            ["context.mfa", "principal.department"]
        );
    }

    #[test]
    fn what_is_told_of_one_action_is_not_told_of_another() {
        let asks = |scope: &str, what: &str| listed(&format!("forbid (principal, {scope}) when {{ {what} }};"));
        let layer = "resource has layer && resource.layer == \"team\"";
        let of = |name: &str| format!("action == Action::\"{name}\", resource");
        assert!(asks(&of("memory.read"), layer).is_empty());
        assert_eq!(asks(&of("memory.promote"), layer), ["resource.layer of memory.promote"]);
        let secret = "resource has sensitivity && resource.sensitivity == \"high\"";
        assert_eq!(
            asks(&of("memory.read"), secret),
            ["resource.sensitivity of memory.read"]
        );
        assert_eq!(asks("action, resource is Memory", secret), ["resource.sensitivity"]);
        assert!(asks("action, resource is Knowledge", "resource has path").is_empty());
        assert_eq!(
            asks("action, resource is Knowledge", "resource has owner"),
            ["resource.owner"]
        );
        assert!(asks("action, resource", layer).is_empty(), "some actions tell it");
        assert_eq!(
            asks("action, resource is Policy", layer),
            ["resource.layer"],
            "no service asks about policies"
        );
        let tag = "resource.hasTag(\"colour\") && resource.getTag(\"colour\") == \"red\"";
        assert_eq!(asks(&of("memory.read"), tag), ["a tag of resource"]);
    }
}
