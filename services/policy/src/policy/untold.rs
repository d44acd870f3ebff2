//! What a Cedar text asks about that no service tells at its own door. There, a statement sees it as missing. And policies of
//! a place that the knowledge service never tells: there, they do not count.
//!
//! The schema knows more than services tell: only who asks the governance service itself can say it. [`TOLD`] is what the
//! services' permissions tell of a thing, by action; a test of the workspace holds it to them.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{ActionConstraint, Policy, PolicySet, ResourceConstraint};
use serde_json::Value;

use super::Document;
use crate::engine::{Scope, attributes, is_about};
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
    ("sync.start", &["owner", "source"]),
    ("sync.cancel", &["owner", "source"]),
];

/// What they tell beside: of who asks, and of the circumstances.
const TOLD_BESIDE: [(&str, &str); 3] = [("principal", "onBehalfOf"), ("context", "time"), ("context", "via")];

/// What is said of a policy that never counts at the knowledge service.
const OUT_OF_REACH: &str =
    "the place names more than one id, and the knowledge service tells one only; there the policy never counts";

/// Returns what whoever makes or changes a policy is warned of.
#[must_use]
pub fn warnings(document: &Document) -> Vec<String> {
    let text = document.cedar.as_deref().unwrap_or_default();
    let missing = find(text)
        .into_iter()
        .map(|name| format!("{name} is told by no service; there it is missing"));
    let place = is_out_of_reach(&document.scope, text).then(|| OUT_OF_REACH.to_owned());
    missing.chain(place).collect()
}

/// Tells whether a text speaks about knowledge in a place that the knowledge service never tells: it knows one id, the one
/// that a path begins with, and a policy counts where every id that it names is told.
fn is_out_of_reach(scope: &Scope, text: &str) -> bool {
    let named = [&scope.org_id, &scope.team_id, &scope.project_id];
    if named.into_iter().flatten().count() < 2 {
        return false;
    }
    let is_of_knowledge = |statement: &Policy| {
        let mut actions = Actions::of(statement).actions.into_iter();
        actions.any(|action| action.resource == "Knowledge")
    };
    PolicySet::from_str(text).is_ok_and(|set| set.policies().any(is_of_knowledge))
}

/// Returns what a text asks about that no service tells: `context.mfa`; of a thing with the action, where the statement names
/// any: `resource.layer of sync.start`.
pub(super) fn find(text: &str) -> BTreeSet<String> {
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

    /// The handlers of the sync service tell both of a connection that is there; only the door does not.
    #[test]
    fn whose_a_connection_is_is_told_where_it_is_started_or_cancelled_and_not_where_it_is_read() {
        let asks = |name: &str| {
            listed(&format!(
                r#"forbid (principal, action == Action::"{name}", resource)
                when {{ resource has owner && resource.owner != "ann" && resource has source }};"#
            ))
        };
        assert!(asks("sync.start").is_empty());
        assert!(asks("sync.cancel").is_empty());
        assert_eq!(
            asks("sync.read"),
            ["resource.owner of sync.read", "resource.source of sync.read"]
        );
    }

    fn warned(layer: &str, scope: &Value, text: &str) -> Vec<String> {
        let document = serde_json::json!({
            "name": "a", "type": "cedar", "layer": layer, "scope": scope, "mode": "mandatory", "cedar": text,
        });
        warnings(&serde_json::from_value(document).expect("a document"))
    }

    #[test]
    fn a_place_of_two_ids_is_warned_of_where_the_text_speaks_about_knowledge() {
        let (one, two) = (
            serde_json::json!({"teamId": "red"}),
            serde_json::json!({"orgId": "o", "teamId": "red"}),
        );
        let of = |what: &str| format!("forbid (principal, {what});");
        let knowledge = of(r#"action == Action::"knowledge.read", resource"#);
        assert_eq!(warned("team", &two, &knowledge), [OUT_OF_REACH]);
        assert_eq!(warned("team", &two, &of("action, resource")), [OUT_OF_REACH]);
        assert!(warned("team", &one, &knowledge).is_empty());
        assert!(warned("team", &two, &of("action, resource is Memory")).is_empty());
    }
}
