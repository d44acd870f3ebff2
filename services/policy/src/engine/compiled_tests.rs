use serde_json::json;

use super::*;
use crate::engine::{Principal, Resource};
use crate::rbac::Role;

fn cedar_policy(name: &str, layer: &str, scope: &serde_json::Value, text: &str) -> Active {
    let document = serde_json::from_value(json!({
        "name": name, "type": "cedar", "layer": layer, "scope": scope, "mode": "mandatory", "cedar": text, "status": "active",
    }))
    .expect("a document");
    Active {
        id: Uuid::now_v7(),
        version: 1,
        document,
    }
}

fn question(role: Role, action: &str, place: &serde_json::Value) -> Question {
    Question {
        principal: Principal {
            id: "ann".to_owned(),
            roles: vec![role],
            ..Principal::default()
        },
        action: action.to_owned(),
        resource: Resource {
            kind: "Memory".to_owned(),
            id: "m1".to_owned(),
            scope: serde_json::from_value(place.clone()).expect("a scope"),
            ..Resource::default()
        },
        ..Question::default()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

const NOW: &str = "2026-06-01T00:00:00Z";

/// In a slice nobody asks a policy for which action it is; what is decided, and by what, is the same.
#[test]
fn a_slice_decides_as_the_policies_themselves_do() {
    let text = r#"
        forbid (principal, action == Action::"memory.delete", resource) when { resource has layer && resource.layer like "c*\*" };
        permit (principal in Role::"Viewer", action in [Action::"memory.create", Action::"memory.delete"], resource is Memory)
            when { context has time && context.time > datetime("2026-01-01") };
        permit (principal is Agent, action, resource) unless { resource.hasTag("colour") };
        @note("an address") forbid (principal == User::"u\"1", action in [Action::"memory.create"], resource)
            when { context has ip && context.ip.isInRange(ip("10.0.0.0/8")) || ["a", "b"].contains(principal.department) };
        "#;
    let set = Compiled::build(vec![cedar_policy("all", "team", &json!({}), text)]);
    let own = cedar::statements(set.policies()[0].id, 1, text);
    assert_eq!(own.len(), 4);
    let whole = Slice::of(builtin::policies().iter().chain(&own).cloned());
    let (mut decisions, mut forbidden) = (0, 0);
    for action in action::ALL.iter().filter(|action| action.resource == "Memory") {
        for role in Role::ALL {
            for (layer, ip) in [("c*", "10.1.1.1"), ("team", "10.1.1.1"), ("team", "192.0.2.1")] {
                let mut asked = question(role, action.name, &json!({}));
                asked.principal.id = "u\"1".to_owned();
                asked.resource.properties.insert("layer".to_owned(), json!(layer));
                asked.context.insert("ip".to_owned(), json!(ip));
                asked.context.insert("time".to_owned(), json!(NOW));
                let (sliced, plain) = (set.decide(&asked, at(NOW)), whole.decide(&asked));
                let of =
                    |decision: &Decision| (decision.allowed, decision.determining.clone(), decision.reason.clone());
                assert_eq!(of(&sliced), of(&plain), "{asked:?}");
                decisions += 1;
                forbidden += usize::from(sliced.determining.iter().any(|id| id.contains("@1#")) && !sliced.allowed);
            }
        }
    }
    assert!(decisions > 60 && forbidden > 10, "{forbidden} of {decisions}");
}

#[test]
fn a_decision_names_each_policy_once() {
    let twice = r#"forbid (principal, action == Action::"memory.delete", resource);
        forbid (principal, action, resource) when { resource is Memory };"#;
    let set = Compiled::build(vec![cedar_policy("keep", "team", &json!({}), twice)]);
    let decision = set.decide(&question(Role::TechLead, "memory.delete", &json!({})), at(NOW));
    let id = set.policies()[0].id;
    assert_eq!(decision.determining, [format!("{id}@1#0"), format!("{id}@1#1")]);
    assert_eq!(set.tell(&decision.determining), format!("policy \"keep\" ({id}@1)"));
    assert_eq!(set.tell(&["builtin.viewer".to_owned()]), "builtin.viewer");
}

#[test]
fn a_policy_forbids_in_its_place_and_not_beside_it() {
    let text = r#"forbid (principal, action == Action::"memory.delete", resource);"#;
    let set = Compiled::build(vec![cedar_policy("keep", "team", &json!({"teamId": "red"}), text)]);
    let ask = |place| set.decide(&question(Role::TechLead, "memory.delete", &place), at(NOW));
    let red = ask(json!({"teamId": "red"}));
    assert!(!red.allowed);
    assert_eq!(red.determining, [format!("{}@1#0", set.policies()[0].id)]);
    let blue = ask(json!({"teamId": "blue"}));
    assert!(blue.allowed);
    assert_eq!(blue.determining, ["builtin.tech-lead"]);
    // Who names no place is not in the team either.
    assert!(ask(json!({})).allowed);
    assert_eq!(
        (red.candidates, blue.candidates),
        (4, 3),
        "the slices hold no policy of another place or action"
    );
}

#[test]
fn a_policy_counts_from_its_beginning_to_its_end() {
    let text = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    let mut policy = cedar_policy("quiet hours", "company", &json!({}), text);
    policy.document.effective_from = Some(at("2026-06-01T00:00:00Z"));
    policy.document.effective_until = Some(at("2026-06-02T00:00:00Z"));
    let set = Compiled::build(vec![policy]);
    let allowed = |when: &str| {
        set.decide(&question(Role::Viewer, "memory.read", &json!({})), at(when))
            .allowed
    };
    assert!(allowed("2026-05-31T23:59:59Z"));
    assert!(!allowed("2026-06-01T00:00:00Z"));
    assert!(!allowed("2026-06-01T23:59:59Z"));
    assert!(allowed("2026-06-02T00:00:00Z"));
    assert!(
        !allowed("2026-06-01T12:00:00Z"),
        "the slices of other times are not mixed up"
    );
}

#[test]
fn a_policy_that_fails_allows_nothing() {
    // Strict validation cannot see an overflow.
    let text = r#"forbid (principal is Agent, action == Action::"memory.read", resource)
        when { principal has depth && principal.depth + 9223372036854775807 > 0 };"#;
    let set = Compiled::build(vec![cedar_policy("overflow", "company", &json!({}), text)]);
    let mut asked = question(Role::Agent, "memory.read", &json!({}));
    asked.principal.on_behalf_of = Some("ann".to_owned());
    asked.principal.properties.insert("depth".to_owned(), json!(1));
    let decision = set.decide(&asked, at(NOW));
    assert!(!decision.allowed && decision.reason.is_some_and(|why| why.contains("failed")));
}

#[test]
fn what_the_schema_does_not_know_is_not_allowed() {
    let set = Compiled::build(Vec::new());
    for (action, kind) in [
        ("memory.fly", "Memory"),
        ("memory.read", "Policy"),
        ("memory.read", "Planet"),
    ] {
        let mut asked = question(Role::PlatformAdmin, action, &json!({}));
        asked.resource.kind = kind.to_owned();
        let decision = set.decide(&asked, at(NOW));
        assert!(!decision.allowed && decision.reason.is_some(), "{action} {kind}");
    }
}

#[test]
fn equal_sets_have_equal_hashes_in_any_order() {
    let text = "permit (principal, action, resource);";
    let (a, b) = (
        cedar_policy("a", "company", &json!({}), text),
        cedar_policy("b", "company", &json!({}), text),
    );
    let forth = Compiled::build(vec![a.clone(), b.clone()]);
    let back = Compiled::build(vec![b, a.clone()]);
    assert_eq!(forth.hash(), back.hash());
    let newer = Compiled::build(vec![Active { version: 2, ..a }]);
    assert_ne!(forth.hash(), newer.hash());
}

fn remembered(set: &Compiled) -> usize {
    set.slices.read().expect("not poisoned").made.len()
}

#[test]
fn whatever_callers_ask_about_only_places_that_policies_name_are_remembered() {
    let text = r#"forbid (principal, action == Action::"memory.delete", resource);"#;
    let set = Compiled::build(vec![cedar_policy("keep", "team", &json!({"teamId": "red"}), text)]);
    let ask = |action: &str, place| set.decide(&question(Role::TechLead, action, &place), at(NOW));
    for n in 0..1_000 {
        let invented = ask(&format!("memory.invented-{n}"), json!({}));
        assert!(!invented.allowed && invented.reason.is_some());
        assert!(
            ask(
                "memory.delete",
                json!({"orgId": n.to_string(), "teamId": format!("blue-{n}")})
            )
            .allowed
        );
        assert!(!ask("memory.delete", json!({"projectId": n.to_string(), "teamId": "red"})).allowed);
    }
    assert_eq!(remembered(&set), 2, "in the team, and elsewhere");
}

#[test]
fn what_is_remembered_has_an_end() {
    let of_seven_hundred = Arc::new(Slice {
        candidates: 700,
        ..Slice::default()
    });
    let (mut slices, mut most) = (Slices::default(), 0);
    for n in 0..1_000 {
        let place = serde_json::from_value(json!({"teamId": n.to_string()})).expect("a scope");
        let key = Key {
            action: "memory.read",
            place,
            epoch: 0,
        };
        slices.remember(key, &of_seven_hundred);
        most = most.max(slices.made.len());
    }
    assert!(
        (10..=REMEMBERED / 700 + 1).contains(&most),
        "{most} slices of 700 policies"
    );
}
