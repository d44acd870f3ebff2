//! Bodies that fit.

use serde_json::{Value, json};

/// A Cedar policy.
pub fn cedar(name: &str, text: &str) -> Value {
    json!({
        "name": name, "type": "cedar", "layer": "company", "mode": "mandatory", "status": "active", "cedar": text,
    })
}

/// A constraint policy with one rule: no OpenSSL.
pub fn constraint(name: &str) -> Value {
    json!({
        "name": name, "type": "constraint", "layer": "company", "mode": "mandatory", "status": "active",
        "rules": [{
            "id": "no-openssl", "target": "dependency", "operator": "must_not_use", "value": "openssl*",
            "severity": "block", "message": "use rustls",
        }],
    })
}

/// A question about a memory.
pub fn question(roles: &[&str], action: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": "ann", "properties": {"roles": roles}},
        "action": {"name": action},
        "resource": {"type": "memory", "id": "m1"},
    })
}

/// A body for each path that takes one, good enough to come as far as the decision.
pub fn valid(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "rollback" => json!({"version": 1}),
        "diff" => json!({"from": 1}),
        "evaluate" => question(&["Viewer"], "memory.read"),
        "validate" => json!({"context": {}}),
        "simulate" => json!({"policy": constraint("a")}),
        "grant" | "revoke" => json!({"principal": "ann", "role": "Viewer"}),
        "request" => json!({"requestType": "sync", "title": "a", "payload": {}, "riskLevel": "low"}),
        "decide" => json!({"requestNumber": "REQ-2026-0001", "decision": "approve"}),
        _ if path.contains("/apply/") => json!({"payloadHash": "00"}),
        _ if path.contains("/break-glass/") => json!({"justification": "a"}),
        _ if path.contains("/approval/") => json!({"payload": {}}),
        _ => constraint("a"),
    }
}
