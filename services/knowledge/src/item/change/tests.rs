use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Map;
use uuid::Uuid;

use super::*;
use crate::item::kind::KINDS;
use crate::item::status::STATUSES;
use crate::item::{Attributes, Kind, Layer, Severity};

fn snapshot(kind: Kind, status: Status, body: &str) -> Snapshot {
    let attributes = Attributes {
        title: "title".to_owned(),
        kind,
        layer: Layer::Team,
        status,
        severity: Severity::Info,
        summary: None,
        tags: Vec::new(),
        supersedes: None,
        metadata: Map::new(),
    };
    Snapshot {
        attributes,
        body: body.to_owned(),
    }
}

fn stored(kind: Kind, status: Status) -> Stored {
    let snapshot = snapshot(kind, status, "old");
    Stored {
        id: Uuid::nil(),
        path: "a".to_owned(),
        hash: snapshot.hash().to_vec(),
        snapshot,
        version: 3,
        superseded_by: None,
        author: "ann".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        deleted: false,
    }
}

fn rights(role: &str) -> Rights {
    Rights::from_roles("ann", &[role.to_owned()])
}

const HERE: Precondition = Precondition::Version(3);

#[test]
fn an_accepted_decision_changes_its_status_and_nothing_else() {
    let old = stored(Kind::Adr, Status::Accepted);
    let ask = |wanted: &Snapshot| plan(Some(&old), wanted, HERE, &rights("Architect"));
    assert_eq!(
        ask(&snapshot(Kind::Adr, Status::Accepted, "new")),
        Err(Refusal::Settled { kind: "adr" })
    );
    assert_eq!(
        ask(&snapshot(Kind::Note, Status::Accepted, "old")),
        Err(Refusal::Settled { kind: "adr" })
    );
    assert_eq!(
        ask(&snapshot(Kind::Adr, Status::Deprecated, "old")),
        Ok(Plan::Store(Action::Moved))
    );
    assert!(matches!(
        ask(&snapshot(Kind::Adr, Status::Superseded, "old")),
        Err(Refusal::NoSuchWay { .. })
    ));
}

#[test]
fn an_accepted_policy_changes_under_a_reviewers_hand_only() {
    let old = stored(Kind::Policy, Status::Accepted);
    let wanted = snapshot(Kind::Policy, Status::Accepted, "new");
    let ask = |role| plan(Some(&old), &wanted, HERE, &rights(role));
    assert_eq!(ask("Architect"), Ok(Plan::Store(Action::Changed)));
    assert_eq!(ask("TechLead"), Err(Refusal::MayNotReview));
    assert_eq!(ask("Developer"), Err(Refusal::MayNotReview));
    assert_eq!(ask("Viewer"), Err(Refusal::MayNotWrite));
}

#[test]
fn the_same_again_is_kept_and_another_needs_to_name_the_version() {
    let old = stored(Kind::Note, Status::Draft);
    let same = snapshot(Kind::Note, Status::Draft, "old");
    let other = snapshot(Kind::Note, Status::Draft, "new");
    let ask = |wanted, demanded| plan(Some(&old), wanted, demanded, &rights("Developer"));
    assert_eq!(ask(&same, Precondition::Absent), Ok(Plan::Keep));
    assert_eq!(ask(&other, Precondition::Absent), Err(Refusal::Taken { version: 3 }));
    assert_eq!(
        ask(&other, Precondition::Unsaid),
        Err(Refusal::Unconditional { version: 3 })
    );
    assert_eq!(
        ask(&other, Precondition::Version(2)),
        Err(Refusal::Outdated { version: 3 })
    );
    assert_eq!(ask(&other, Precondition::Present), Ok(Plan::Store(Action::Changed)));
}

#[test]
fn a_deleted_item_is_made_again_and_nothing_begins_in_the_middle_of_a_life() {
    let mut old = stored(Kind::Note, Status::Accepted);
    old.deleted = true;
    let ask = |status, role| {
        let wanted = snapshot(Kind::Note, status, "old");
        plan(Some(&old), &wanted, Precondition::Absent, &rights(role))
    };
    assert_eq!(ask(Status::Draft, "Agent"), Ok(Plan::Store(Action::Created)));
    assert_eq!(ask(Status::Accepted, "Agent"), Err(Refusal::MayNotReview));
    assert_eq!(
        ask(Status::Superseded, "Admin"),
        Err(Refusal::NoSuchBegin("superseded"))
    );
    let wanted = snapshot(Kind::Note, Status::Draft, "old");
    let asked = plan(Some(&old), &wanted, HERE, &rights("Admin"));
    assert_eq!(asked, Err(Refusal::Absent));
}

#[test]
fn a_deletion_names_its_version_and_what_is_accepted_needs_a_reviewer() {
    let old = stored(Kind::Policy, Status::Accepted);
    let ask = |demanded, role| plan_delete(Some(&old), demanded, &rights(role));
    assert_eq!(ask(HERE, "Admin"), Ok(()));
    assert_eq!(ask(HERE, "Developer"), Err(Refusal::MayNotReview));
    assert_eq!(
        ask(Precondition::Unsaid, "Admin"),
        Err(Refusal::Unconditional { version: 3 })
    );
    assert_eq!(
        ask(Precondition::Version(1), "Admin"),
        Err(Refusal::Outdated { version: 3 })
    );
    assert_eq!(plan_delete(None, HERE, &rights("Admin")), Err(Refusal::Absent));
}

#[test]
fn anothers_proposal_is_its_authors_and_the_editors() {
    let mut old = stored(Kind::Note, Status::Proposed);
    old.author = "ben".to_owned();
    for wanted in [
        snapshot(Kind::Note, Status::Draft, "old"),
        snapshot(Kind::Note, Status::Proposed, "new"),
    ] {
        let ask = |role| plan(Some(&old), &wanted, HERE, &rights(role));
        assert_eq!(ask("Developer"), Err(Refusal::Anothers));
        assert_eq!(ask("Agent"), Err(Refusal::Anothers));
        assert!(ask("TechLead").is_ok());
    }
    let ask = |role| plan_delete(Some(&old), HERE, &rights(role));
    assert_eq!(ask("Developer"), Err(Refusal::Anothers));
    assert_eq!(ask("TechLead"), Ok(()));
    let accepted = snapshot(Kind::Note, Status::Accepted, "old");
    let ask = |role| plan(Some(&old), &accepted, HERE, &rights(role));
    assert_eq!(ask("TechLead"), Err(Refusal::MayNotReview));
    assert_eq!(ask("Architect"), Ok(Plan::Store(Action::Moved)));
}

#[test]
fn what_was_accepted_for_ever_is_not_deleted() {
    for status in [Status::Accepted, Status::Deprecated, Status::Superseded] {
        let ask = |kind| plan_delete(Some(&stored(kind, status)), HERE, &rights("TenantAdmin"));
        assert_eq!(ask(Kind::Spec), Err(Refusal::Standing { kind: "spec" }));
        assert_eq!(ask(Kind::Note), Ok(()));
    }
    let proposed = stored(Kind::Adr, Status::Proposed);
    assert_eq!(plan_delete(Some(&proposed), HERE, &rights("Developer")), Ok(()));
}

proptest! {
    #[test]
    fn no_write_of_a_non_reviewer_touches_what_a_review_has_settled(
        kind in 0..6_usize, from in 0..6_usize, to in 0..6_usize, body in "old|new", agent in any::<bool>(),
    ) {
        let old = stored(KINDS[kind], STATUSES[from]);
        let wanted = snapshot(KINDS[kind], STATUSES[to], &body);
        let role = if agent { "Agent" } else { "Developer" };
        let asked = plan(Some(&old), &wanted, HERE, &rights(role));
        if let Ok(Plan::Store(_)) = asked {
            prop_assert!(!STATUSES[from].needs_review() && !STATUSES[to].needs_review());
        }
        let reviewed = plan(Some(&old), &wanted, HERE, &rights("TenantAdmin"));
        if let Ok(Plan::Store(_)) = reviewed {
            prop_assert!(STATUSES[from].may_become(STATUSES[to]));
            prop_assert!(body == "old" || !KINDS[kind].is_settled(STATUSES[from]));
        }
    }
}
