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
    for verdict in [Verdict::Approve, Verdict::Reject, Verdict::Abstain] {
        assert_eq!(
            play(&mut asked, &vote("rita", verdict), &all_lead),
            Err(Refusal::SelfApproval)
        );
    }
    let by = "rita".to_owned();
    assert_eq!(
        play(&mut asked, &Command::BreakGlass { by }, &all_lead),
        Err(Refusal::SelfApproval)
    );
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

/// What happens to a request, in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Votes(usize),
    TimePasses,
    RoleIsRevoked(usize),
    IsCancelled,
    IsWithdrawn,
    IsAmendedTo(&'static str),
    IsApplied,
}

const PEOPLE: [&str; 3] = ["ann", "bob", "cid"];

fn permutations(of: &[Happens]) -> Vec<Vec<Happens>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    (0..of.len())
        .flat_map(|first| {
            let mut rest = of.to_vec();
            let head = rest.remove(first);
            permutations(&rest)
                .into_iter()
                .map(move |tail| [vec![head], tail].concat())
        })
        .collect()
}

/// Plays an order of events and checks after each what must always hold.
fn check(order: &[Happens], verdicts: [Verdict; 3], required: u32) -> Status {
    let mut asked = request(&[(required, Role::TechLead)]);
    let (mut now, mut revoked, mut applied) = (0, BTreeSet::new(), 0);
    // Who has approved what is asked for since it was asked for last.
    let mut approved = BTreeSet::new();
    for event in order {
        let before = asked.clone();
        let gone = revoked.clone();
        let roles = move |who: &str| {
            if gone.contains(who) {
                vec![Role::Viewer]
            } else {
                vec![Role::TechLead]
            }
        };
        let command = match event {
            Happens::Votes(n) => vote(PEOPLE[*n], verdicts[*n]),
            Happens::TimePasses => {
                now = HOUR;
                Command::Expire
            }
            Happens::RoleIsRevoked(n) => {
                revoked.insert(PEOPLE[*n]);
                continue;
            }
            Happens::IsCancelled => Command::Cancel,
            Happens::IsWithdrawn => Command::Withdraw { by: "rita".to_owned() },
            Happens::IsAmendedTo(payload) => Command::Amend {
                by: "rita".to_owned(),
                payload_hash: (*payload).to_owned(),
            },
            Happens::IsApplied => Command::Apply {
                payload_hash: "p1".to_owned(),
            },
        };
        let outcome = asked.react(&command, &roles, at(now));
        if let Ok(change) = outcome.clone() {
            follow(&mut asked, change);
            match event {
                Happens::Votes(n) if verdicts[*n] == Verdict::Approve => {
                    approved.insert(PEOPLE[*n]);
                }
                Happens::IsAmendedTo(_) => approved.clear(),
                Happens::Votes(_)
                | Happens::TimePasses
                | Happens::RoleIsRevoked(_)
                | Happens::IsCancelled
                | Happens::IsWithdrawn
                | Happens::IsApplied => {}
            }
        }
        let story = || format!("{order:?} {verdicts:?} {required}: {event:?} {outcome:?}");
        applied += u32::from(before.status != Status::Applied && asked.status == Status::Applied);
        assert!(applied <= 1, "applied twice: {}", story());
        match (before.status, asked.status) {
            (Status::Pending, Status::Approved) => {
                assert!(now < HOUR, "approved after its time: {}", story());
                let good = approved.difference(&revoked).count();
                assert!(
                    good >= usize::try_from(required).expect("small"),
                    "no quorum: {}",
                    story()
                );
            }
            (Status::Approved, after) => {
                assert!(
                    matches!(after, Status::Approved | Status::Applied),
                    "undone: {}",
                    story()
                );
            }
            (Status::Pending, after) => assert_ne!(after, Status::Applied, "applied unasked: {}", story()),
            (ended, after) => assert_eq!(ended, after, "what has ended changed: {}", story()),
        }
        if outcome.is_err() {
            assert_eq!(before, asked, "refused and changed: {}", story());
        }
    }
    asked.status
}

#[test]
fn in_every_order_of_votes_expiry_revocation_cancel_and_apply_the_rules_hold() {
    let events = [
        Happens::Votes(0),
        Happens::Votes(1),
        Happens::Votes(2),
        Happens::TimePasses,
        Happens::RoleIsRevoked(0),
        Happens::IsCancelled,
        Happens::IsApplied,
    ];
    let every = [Verdict::Approve, Verdict::Reject, Verdict::Abstain];
    let orders = permutations(&events);
    let mut seen = Vec::new();
    for order in &orders {
        for a in every {
            for b in every {
                for c in every {
                    for required in 1..=3 {
                        let end = check(order, [a, b, c], required);
                        if !seen.contains(&end) {
                            seen.push(end);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(orders.len(), 5_040);
    // All ends are reached, so nothing above holds for want of trying.
    for end in [
        Status::Approved,
        Status::Rejected,
        Status::Expired,
        Status::Cancelled,
        Status::Applied,
    ] {
        assert!(seen.contains(&end), "{end:?} was never reached");
    }
}

#[test]
fn in_every_order_of_votes_changes_of_the_payload_and_back_withdrawal_and_apply_the_rules_hold() {
    let events = [
        Happens::Votes(0),
        Happens::Votes(0),
        Happens::Votes(1),
        Happens::IsAmendedTo("p2"),
        Happens::IsAmendedTo("p1"),
        Happens::IsWithdrawn,
        Happens::IsApplied,
    ];
    let every = [Verdict::Approve, Verdict::Reject, Verdict::Abstain];
    let mut seen = Vec::new();
    for order in permutations(&events) {
        for a in every {
            for b in every {
                for required in 1..=2 {
                    let end = check(&order, [a, b, Verdict::Abstain], required);
                    if !seen.contains(&end) {
                        seen.push(end);
                    }
                }
            }
        }
    }
    for end in [Status::Approved, Status::Rejected, Status::Withdrawn, Status::Applied] {
        assert!(seen.contains(&end), "{end:?} was never reached");
    }
}
