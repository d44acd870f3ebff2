use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::engine::compiled;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn acme() -> TenantId {
    TenantId::parse("acme").expect("a tenant")
}

fn snapshot() -> Snapshot {
    let document = json!({
        "name": "keep", "type": "cedar", "layer": "company", "mode": "mandatory", "status": "active",
        "cedar": "forbid (principal, action == Action::\"memory.delete\", resource);",
    });
    let policies = vec![Active {
        id: Uuid::nil(),
        version: 1,
        document: serde_json::from_value(document).expect("a document"),
    }];
    Snapshot {
        tenant_id: "acme".to_owned(),
        version: 1,
        policy_set_hash: compiled::hash(&policies),
        issued_at: at(1_000),
        max_age_seconds: 60,
        policies,
        roles: vec![Assigned {
            holder: holder("acme", "ann"),
            role: Role::Admin,
            revoked: true,
        }],
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn sign(text: String, seed: u8, domain: Domain) -> Signed {
    let signature = key(seed).sign(&domain.message(&text));
    Signed {
        text,
        key_id: String::new(),
        signature: BASE64.encode(signature.to_bytes()),
    }
}

fn open(snapshot: &Snapshot, seed: u8, now: i64) -> Result<Held, Refused> {
    let text = serde_json::to_string(snapshot).expect("JSON");
    let signed = sign(text, seed, Domain::PolicySnapshot);
    Held::open(&signed, &PublicKey::of(key(1).verifying_key()), &acme(), at(now))
}

#[test]
fn a_snapshot_is_good_until_its_age_is_reached() {
    let held = open(&snapshot(), 1, 1_000).expect("believed");
    assert!(!held.is_stale(at(1_059)) && held.is_stale(at(1_060)));
    assert_eq!(held.set.policies().len(), 1);
    assert!(held.known_of("ann").iter().all(|holding| holding.revoked) && held.known_of("bob").is_empty());
    assert_eq!(held.known_of("ann").len(), 1);
}

#[test]
fn only_what_the_key_signed_for_this_purpose_and_this_tenant_now_is_believed() {
    assert!(matches!(open(&snapshot(), 2, 1_000), Err(Refused::Forged)));
    assert!(matches!(open(&snapshot(), 1, 900), Err(Refused::Future)));
    let foreign = Snapshot {
        tenant_id: "globex".to_owned(),
        ..snapshot()
    };
    assert!(matches!(open(&foreign, 1, 1_000), Err(Refused::Foreign)));
    let mixed = Snapshot {
        policies: Vec::new(),
        ..snapshot()
    };
    assert!(matches!(open(&mixed, 1, 1_000), Err(Refused::Mixed)));
    let public = PublicKey::of(key(1).verifying_key());
    let text = serde_json::to_string(&snapshot()).expect("JSON");
    let checkpoint = sign(text.clone(), 1, Domain::AuditCheckpoint);
    assert!(matches!(
        Held::open(&checkpoint, &public, &acme(), at(1_000)),
        Err(Refused::Forged)
    ));
    let signed = sign(text, 1, Domain::PolicySnapshot);
    let changed = Signed {
        text: signed.text.replace("\"maxAgeSeconds\":60", "\"maxAgeSeconds\":9999"),
        ..signed
    };
    assert!(matches!(
        Held::open(&changed, &public, &acme(), at(1_000)),
        Err(Refused::Forged)
    ));
    let unreadable = sign("{}".to_owned(), 1, Domain::PolicySnapshot);
    assert!(matches!(
        Held::open(&unreadable, &public, &acme(), at(1_000)),
        Err(Refused::Unreadable(_))
    ));
}

#[test]
fn an_older_snapshot_is_told_from_a_newer_one() {
    let old = open(&snapshot(), 1, 1_000).expect("believed");
    let newer = Snapshot {
        issued_at: at(1_001),
        ..snapshot()
    };
    let newer = open(&newer, 1, 1_001).expect("believed");
    assert!(newer.is_newer_than(&old) && !old.is_newer_than(&newer) && !old.is_newer_than(&old));
}

#[test]
fn a_holder_of_one_tenant_is_nobody_in_another() {
    assert_eq!(holder("acme", "ann"), holder("acme", "ann"));
    assert_ne!(holder("acme", "ann"), holder("globex", "ann"));
    assert!(!holder("acme", "ann").contains("ann"));
}
