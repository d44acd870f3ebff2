use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::signed::PublicKey;

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
        policies: Some(policies),
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

fn public(seed: u8) -> PublicKey {
    PublicKey::of(key(seed).verifying_key())
}

fn sign(text: String, seed: u8, domain: Domain) -> Signed {
    let signature = key(seed).sign(&domain.message(&text));
    Signed {
        text,
        key_id: public(seed).id().to_owned(),
        signature: BASE64.encode(signature.to_bytes()),
    }
}

fn open(snapshot: &Snapshot, seed: u8, now: i64) -> Result<Held, Refused> {
    let text = serde_json::to_string(snapshot).expect("JSON");
    let signed = sign(text, seed, Domain::PolicySnapshot);
    Held::open(&signed, &PublicKeys::of([public(1)]), &acme(), at(now), None)
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
        policies: Some(Vec::new()),
        ..snapshot()
    };
    assert!(matches!(open(&mixed, 1, 1_000), Err(Refused::Mixed)));
    let keys = PublicKeys::of([public(1)]);
    let text = serde_json::to_string(&snapshot()).expect("JSON");
    let checkpoint = sign(text.clone(), 1, Domain::AuditCheckpoint);
    assert!(matches!(
        Held::open(&checkpoint, &keys, &acme(), at(1_000), None),
        Err(Refused::Forged)
    ));
    let signed = sign(text, 1, Domain::PolicySnapshot);
    let changed = Signed {
        text: signed.text.replace("\"maxAgeSeconds\":60", "\"maxAgeSeconds\":9999"),
        ..signed
    };
    assert!(matches!(
        Held::open(&changed, &keys, &acme(), at(1_000), None),
        Err(Refused::Forged)
    ));
    let unreadable = sign("{}".to_owned(), 1, Domain::PolicySnapshot);
    assert!(matches!(
        Held::open(&unreadable, &keys, &acme(), at(1_000), None),
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

#[test]
fn a_new_key_is_believed_beside_the_one_before_it_and_each_signs_under_its_own_name() {
    let text = serde_json::to_string(&snapshot()).expect("JSON");
    let open = |signed: &Signed, seeds: &[u8]| {
        let keys = PublicKeys::of(seeds.iter().copied().map(public));
        Held::open(signed, &keys, &acme(), at(1_000), None)
    };
    let (old, new) = (
        sign(text.clone(), 1, Domain::PolicySnapshot),
        sign(text, 2, Domain::PolicySnapshot),
    );
    for signed in [&old, &new] {
        assert!(open(signed, &[2, 1]).is_ok());
    }
    assert!(matches!(open(&old, &[2]), Err(Refused::Forged)));
    let renamed = Signed {
        key_id: new.key_id,
        ..old
    };
    assert!(matches!(open(&renamed, &[2, 1]), Err(Refused::Forged)));
}

#[test]
fn policies_that_are_held_are_neither_sent_nor_compiled_again() {
    let full = open(&snapshot(), 1, 1_000).expect("believed");
    let keys = PublicKeys::of([public(1)]);
    let open_after = |snapshot: &Snapshot, before: Option<&Held>| {
        let text = serde_json::to_string(snapshot).expect("JSON");
        Held::open(
            &sign(text, 1, Domain::PolicySnapshot),
            &keys,
            &acme(),
            at(1_001),
            before,
        )
    };
    let short = Snapshot {
        issued_at: at(1_001),
        policies: None,
        roles: Vec::new(),
        ..snapshot()
    };
    for newer in [&short, &snapshot()] {
        let held = open_after(newer, Some(&full)).expect("believed");
        assert!(Arc::ptr_eq(&held.set, &full.set), "compiled again");
    }
    let newer = open_after(&short, Some(&full)).expect("believed");
    assert!(
        newer.is_newer_than(&full) && newer.known_of("ann").is_empty(),
        "all else is new"
    );
    assert!(matches!(open_after(&short, None), Err(Refused::Mixed)));
    let other = Snapshot {
        policy_set_hash: "00".to_owned(),
        ..short
    };
    assert!(matches!(open_after(&other, Some(&full)), Err(Refused::Mixed)));
}
