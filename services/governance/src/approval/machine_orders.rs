use super::*;

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
