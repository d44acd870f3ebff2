use std::collections::BTreeSet;

use super::*;

const HOUR: i64 = 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn request(steps: &[(u32, Role)]) -> Request {
    Request {
        status: Status::Pending,
        requester: "rita".to_owned(),
        requested_by: "bot".to_owned(),
        steps: steps
            .iter()
            .map(|(required, role)| Step {
                required: *required,
                roles: vec![*role],
            })
            .collect(),
        votes: Vec::new(),
        payload: Revision {
            number: 1,
            hash: "p1".to_owned(),
        },
        expires_at: at(HOUR),
    }
}

fn vote(by: &str, verdict: Verdict) -> Command {
    Command::Decide {
        by: by.to_owned(),
        verdict,
        payload_hash: None,
    }
}

fn all_lead(_: &str) -> Vec<Role> {
    vec![Role::TechLead]
}

/// Does what the store does with a change.
fn follow(request: &mut Request, change: Change) {
    request.status = change.status;
    request.votes.extend(change.vote);
    if let Some(payload) = change.payload {
        request.payload = payload;
    }
}

fn play(request: &mut Request, command: &Command, roles: Roles<'_>) -> Result<Status, Refusal> {
    let change = request.react(command, roles, at(0))?;
    follow(request, change);
    Ok(request.status)
}

#[test]
fn a_quorum_approves_and_a_single_reject_ends_it() {
    let mut asked = request(&[(2, Role::TechLead)]);
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Ok(Status::Pending)
    );
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Err(Refusal::AlreadyDecided)
    );
    assert_eq!(
        play(&mut asked, &vote("bob", Verdict::Abstain), &all_lead),
        Ok(Status::Pending)
    );
    let mut rejected = asked.clone();
    assert_eq!(
        play(&mut rejected, &vote("cid", Verdict::Reject), &all_lead),
        Ok(Status::Rejected)
    );
    assert_eq!(
        play(&mut asked, &vote("cid", Verdict::Approve), &all_lead),
        Ok(Status::Approved)
    );
    assert_eq!(
        play(&mut asked, &vote("dan", Verdict::Reject), &all_lead),
        Err(Refusal::NotPending)
    );
}

#[test]
fn nobody_decides_on_his_own_request() {
    let mut asked = request(&[(1, Role::TechLead)]);
    // Nor does who made it for somebody, another time by himself.
    for by in ["rita", "bot"] {
        for verdict in [Verdict::Approve, Verdict::Reject, Verdict::Abstain] {
            assert_eq!(
                play(&mut asked, &vote(by, verdict), &all_lead),
                Err(Refusal::SelfApproval)
            );
        }
        let glass = Command::BreakGlass { by: by.to_owned() };
        assert_eq!(play(&mut asked, &glass, &all_lead), Err(Refusal::SelfApproval));
        asked.votes.push(Vote {
            by: by.to_owned(),
            step: 0,
            verdict: Verdict::Approve,
            payload: asked.payload.clone(),
        });
        assert_eq!(
            asked.count(0, &all_lead),
            0,
            "a vote that is there all the same does not count"
        );
    }
}

#[test]
fn steps_are_served_in_order_and_one_vote_counts_in_one_step() {
    let roles = |who: &str| match who {
        "chief" => vec![Role::Admin],
        _ => vec![Role::TechLead],
    };
    let mut asked = request(&[(1, Role::TechLead), (1, Role::Admin)]);
    // The chief may vote in the first step as well, and then there is nobody left for the second.
    let mut early = asked.clone();
    assert_eq!(
        play(&mut early, &vote("chief", Verdict::Approve), &roles),
        Ok(Status::Pending)
    );
    assert_eq!(
        play(&mut early, &vote("chief", Verdict::Approve), &roles),
        Err(Refusal::AlreadyDecided)
    );
    assert_eq!(
        play(&mut early, &vote("ann", Verdict::Approve), &roles),
        Err(Refusal::NotEligible)
    );
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &roles),
        Ok(Status::Pending)
    );
    assert_eq!(
        play(&mut asked, &vote("bob", Verdict::Approve), &roles),
        Err(Refusal::NotEligible)
    );
    assert_eq!(
        play(&mut asked, &vote("chief", Verdict::Approve), &roles),
        Ok(Status::Approved)
    );
}

#[test]
fn a_voter_who_lost_his_role_before_the_quorum_no_longer_counts() {
    let mut asked = request(&[(1, Role::TechLead), (1, Role::Admin)]);
    let before = |who: &str| {
        if who == "chief" {
            vec![Role::Admin]
        } else {
            vec![Role::TechLead]
        }
    };
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &before),
        Ok(Status::Pending)
    );
    let after = |who: &str| match who {
        "chief" => vec![Role::Admin],
        "ann" => vec![Role::Viewer],
        _ => vec![Role::TechLead],
    };
    // The first step is open again, and the chief's vote is one in it.
    assert_eq!(asked.current_step(&after), Some(0));
    assert_eq!(
        play(&mut asked, &vote("chief", Verdict::Approve), &after),
        Ok(Status::Pending)
    );
    assert_eq!(asked.current_step(&after), Some(1));
}

#[test]
fn a_changed_payload_voids_the_votes_and_whoever_saw_the_old_one_is_told() {
    let mut asked = request(&[(2, Role::TechLead)]);
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Ok(Status::Pending)
    );
    let amend = |by: &str| Command::Amend {
        by: by.to_owned(),
        payload_hash: "p2".to_owned(),
    };
    assert_eq!(play(&mut asked, &amend("bob"), &all_lead), Err(Refusal::NotRequester));
    assert_eq!(play(&mut asked, &amend("rita"), &all_lead), Ok(Status::Pending));
    let old = Command::Decide {
        by: "bob".to_owned(),
        verdict: Verdict::Approve,
        payload_hash: Some("p1".to_owned()),
    };
    assert_eq!(play(&mut asked, &old, &all_lead), Err(Refusal::PayloadChanged));
    assert_eq!(
        play(&mut asked, &vote("bob", Verdict::Approve), &all_lead),
        Ok(Status::Pending)
    );
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Ok(Status::Approved)
    );
}

#[test]
fn a_payload_that_comes_back_brings_no_votes_back() {
    let mut asked = request(&[(2, Role::TechLead)]);
    let amend = |to: &str| Command::Amend {
        by: "rita".to_owned(),
        payload_hash: to.to_owned(),
    };
    for command in [vote("ann", Verdict::Approve), amend("p2"), amend("p1")] {
        assert_eq!(play(&mut asked, &command, &all_lead), Ok(Status::Pending));
    }
    assert_eq!(asked.count(0, &all_lead), 0);
    assert_eq!(
        play(&mut asked, &vote("bob", Verdict::Approve), &all_lead),
        Ok(Status::Pending)
    );
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Ok(Status::Approved),
        "and ann may say it again"
    );
}

#[test]
fn it_is_applied_once_and_with_the_payload_that_was_approved() {
    let mut asked = request(&[(1, Role::TechLead)]);
    let apply = |hash: &str| Command::Apply {
        payload_hash: hash.to_owned(),
    };
    assert_eq!(play(&mut asked, &apply("p1"), &all_lead), Err(Refusal::NotApproved));
    assert_eq!(
        play(&mut asked, &vote("ann", Verdict::Approve), &all_lead),
        Ok(Status::Approved)
    );
    assert_eq!(play(&mut asked, &apply("p2"), &all_lead), Err(Refusal::PayloadChanged));
    assert_eq!(play(&mut asked, &apply("p1"), &all_lead), Ok(Status::Applied));
    assert_eq!(play(&mut asked, &apply("p1"), &all_lead), Err(Refusal::AlreadyApplied));
}

#[path = "machine_orders.rs"]
mod orders;
