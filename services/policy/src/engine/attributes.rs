//! Properties of the wire as Cedar's attributes and tags.
//!
//! The types are those of `schema.cedarschema`; a test holds both together. They are checked here, because an attribute of
//! another type would make a policy fail while it is evaluated, and a `forbid` that fails forbids nothing.

use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value};

/// The type of a declared attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Whole,
    Truth,
    Texts,
    Address,
    Moment,
}

/// Attributes of the entity types.
pub(super) const DECLARED: &[(&str, &[(&str, Type)])] = &[
    ("User", &[("department", Type::Text)]),
    ("Agent", &[("onBehalfOf", Type::Text), ("depth", Type::Whole)]),
    (
        "Memory",
        &[
            ("layer", Type::Text),
            ("owner", Type::Text),
            ("sensitivity", Type::Text),
            ("labels", Type::Texts),
        ],
    ),
    (
        "Knowledge",
        &[
            ("layer", Type::Text),
            ("kind", Type::Text),
            ("status", Type::Text),
            ("path", Type::Text),
            ("owner", Type::Text),
            ("labels", Type::Texts),
        ],
    ),
    ("Sync", &[("source", Type::Text), ("owner", Type::Text)]),
    (
        "Policy",
        &[
            ("layer", Type::Text),
            ("kind", Type::Text),
            ("mode", Type::Text),
            ("owner", Type::Text),
        ],
    ),
    (
        "Approval",
        &[("kind", Type::Text), ("risk", Type::Text), ("owner", Type::Text)],
    ),
    ("RoleAssignment", &[("role", Type::Text), ("holder", Type::Text)]),
    ("Audit", &[]),
];

/// Attributes of the context.
pub(super) const CONTEXT: &[(&str, Type)] = &[
    ("risk", Type::Text),
    ("justification", Type::Text),
    ("via", Type::Text),
    ("ip", Type::Address),
    ("time", Type::Moment),
    ("environment", Type::Text),
    ("mfa", Type::Truth),
];

/// Tells whether things of a type have an attribute.
pub(crate) fn declares(kind: &str, name: &str) -> bool {
    let declared = DECLARED.iter().find(|(known, _)| *known == kind);
    declared.is_some_and(|(_, attributes)| attributes.iter().any(|(known, _)| *known == name))
}

type Pairs = Vec<(String, RestrictedExpression)>;

/// Splits properties into attributes and tags.
pub(super) fn split(kind: &str, properties: &Map<String, Value>) -> Result<(Pairs, Pairs), String> {
    let declared = DECLARED
        .iter()
        .find_map(|(name, declared)| (*name == kind).then_some(*declared))
        .ok_or_else(|| format!("{kind} is no type of the schema"))?;
    let (mut attributes, mut tags) = (Vec::new(), Vec::new());
    for (name, value) in properties {
        match declared.iter().find(|(known, _)| known == name) {
            Some((_, wanted)) => attributes.push((name.clone(), express(name, *wanted, value)?)),
            None => tags.push((name.clone(), express(name, Type::Text, value)?)),
        }
    }
    Ok((attributes, tags))
}

/// Makes the context's attributes.
pub(super) fn context(given: &Map<String, Value>) -> Result<Pairs, String> {
    given
        .iter()
        .map(|(name, value)| {
            let (_, wanted) = CONTEXT
                .iter()
                .find(|(known, _)| known == name)
                .ok_or_else(|| format!("the context has no {name}"))?;
            Ok((name.clone(), express(name, *wanted, value)?))
        })
        .collect()
}

fn express(name: &str, wanted: Type, value: &Value) -> Result<RestrictedExpression, String> {
    let text = || value.as_str().map(str::to_owned);
    let made = match wanted {
        Type::Text => text().map(RestrictedExpression::new_string),
        Type::Whole => value.as_i64().map(RestrictedExpression::new_long),
        Type::Truth => value.as_bool().map(RestrictedExpression::new_bool),
        Type::Address => text()
            .filter(|text| text.parse::<std::net::IpAddr>().is_ok())
            .map(RestrictedExpression::new_ip),
        Type::Moment => text()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            // Cedar reads milliseconds and no more.
            .map(|at| RestrictedExpression::new_datetime(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())),
        Type::Texts => value.as_array().and_then(|items| {
            let texts: Option<Vec<_>> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map(|text| RestrictedExpression::new_string(text.to_owned()))
                })
                .collect();
            texts.map(RestrictedExpression::new_set)
        }),
    };
    made.ok_or_else(|| format!("{name} must be {}", describe(wanted)))
}

fn describe(wanted: Type) -> &'static str {
    match wanted {
        Type::Text => "a string",
        Type::Whole => "a whole number",
        Type::Truth => "true or false",
        Type::Texts => "a list of strings",
        Type::Address => "an IP address",
        Type::Moment => "a time (RFC 3339)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbac::SCHEMA;

    fn word(wanted: Type) -> &'static str {
        match wanted {
            Type::Text => "String",
            Type::Whole => "Long",
            Type::Truth => "Bool",
            Type::Texts => "Set<String>",
            Type::Address => "ipaddr",
            Type::Moment => "datetime",
        }
    }

    fn record(attributes: &[(&str, Type)]) -> String {
        let listed: Vec<String> = attributes
            .iter()
            .map(|(name, kind)| format!("{name}?: {}", word(*kind)))
            .collect();
        listed.join(", ")
    }

    #[test]
    fn the_types_here_are_those_of_the_schema() {
        let schema: String = SCHEMA.split_whitespace().collect::<Vec<_>>().join(" ");
        for (kind, attributes) in DECLARED {
            let start = schema
                .find(&format!("entity {kind} "))
                .expect("the type is in the schema");
            let line = schema[start..].split(';').next().expect("a line");
            let inside = line
                .split_once("{ ")
                .map_or("", |(_, rest)| rest.split(" }").next().unwrap_or(""));
            assert_eq!(inside, record(attributes), "{kind}");
        }
        assert!(schema.contains(&format!("type Context = {{ {} }};", record(CONTEXT))));
    }

    #[test]
    fn an_attribute_of_another_type_is_refused_and_an_unknown_property_is_a_tag() {
        let properties = |text: &str| serde_json::from_str(text).expect("an object");
        let (attributes, tags) = split("Memory", &properties(r#"{"layer": "team", "colour": "red"}"#)).expect("fits");
        assert_eq!((attributes.len(), tags.len()), (1, 1));
        assert_eq!(
            split("Memory", &properties(r#"{"layer": 7}"#)).err(),
            Some("layer must be a string".to_owned())
        );
        assert!(split("Memory", &properties(r#"{"colour": 7}"#)).is_err());
        assert!(split("Planet", &Map::new()).is_err());
        assert!(
            context(&properties(
                r#"{"mfa": true, "ip": "10.0.0.1", "time": "2026-01-01T00:00:00Z"}"#
            ))
            .is_ok()
        );
        assert!(context(&properties(r#"{"ip": "10.0.0"}"#)).is_err());
        assert!(context(&properties(r#"{"weather": "fine"}"#)).is_err());
    }
}
