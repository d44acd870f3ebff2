use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::audit::{Actor, Event, Outcome, Place};

fn chain(length: i64, salt: &str) -> Vec<Link> {
    let mut prev_hash = GENESIS.to_vec();
    (1..=length)
        .map(|seq| {
            let event = Event {
                actor: Actor::system(),
                action: format!("test.{salt}"),
                target: ("Thing", seq.to_string()),
                outcome: Outcome::Allow,
                decision_id: None,
                details: Map::new(),
            };
            let canonical = event.spell(Place {
                tenant: "acme",
                seq,
                prev_hash: &prev_hash,
                at: Timestamp::UNIX_EPOCH,
            });
            let link = Link {
                seq,
                prev_hash: prev_hash.clone(),
                hash: hash(&canonical).to_vec(),
                canonical,
            };
            prev_hash.clone_from(&link.hash);
            link
        })
        .collect()
}

fn mark(link: &Link) -> Checkpoint {
    Checkpoint {
        tenant_id: "acme".to_owned(),
        seq: link.seq,
        hash: hex(&link.hash),
        at: "2026-01-01T00:00:00.000000Z".to_owned(),
    }
}

fn walk(links: &[Link], marks: &[Checkpoint], head: (i64, &[u8])) -> Result<i64, Break> {
    let mut walk = Walk::begin("acme", marks);
    for link in links {
        walk.step(link)?;
    }
    walk.end(head.0, head.1)
}

fn head(links: &[Link]) -> (i64, &[u8]) {
    links
        .last()
        .map_or((0, GENESIS.as_slice()), |link| (link.seq, link.hash.as_slice()))
}

#[test]
fn a_good_chain_passes_and_so_does_none() {
    let links = chain(5, "a");
    assert_eq!(walk(&links, &[mark(&links[2])], head(&links)), Ok(5));
    assert_eq!(walk(&[], &[], head(&[])), Ok(0));
}

#[test]
fn a_removed_tail_is_found_by_the_head_and_if_that_was_set_back_by_a_checkpoint() {
    let links = chain(5, "a");
    let kept = &links[..3];
    assert_eq!(
        walk(kept, &[], head(&links)),
        Err(Break {
            seq: 4,
            fault: Fault::Missing
        })
    );
    assert_eq!(
        walk(kept, &[], head(kept)),
        Ok(3),
        "nothing but a checkpoint knows better"
    );
    assert_eq!(
        walk(kept, &[mark(&links[4])], head(kept)),
        Err(Break {
            seq: 4,
            fault: Fault::Truncated
        })
    );
    assert_eq!(
        walk(&[], &[mark(&links[4])], head(&[])),
        Err(Break {
            seq: 1,
            fault: Fault::Truncated
        })
    );
}

#[test]
fn a_rewritten_chain_is_found_by_a_checkpoint() {
    let links = chain(5, "a");
    let mut rewritten = links[..2].to_vec();
    let mut other = chain(5, "b");
    // From 3 on, all written anew on top of the true second.
    for link in &mut other[2..] {
        let text: Value = serde_json::from_str(&link.canonical).expect("JSON");
        let mut text = text;
        text["prevHash"] = hex(&rewritten.last().expect("two").hash).into();
        let canonical = crate::canonical::write(&text);
        rewritten.push(Link {
            seq: link.seq,
            prev_hash: rewritten.last().expect("two").hash.clone(),
            hash: hash(&canonical).to_vec(),
            canonical,
        });
    }
    assert_eq!(
        walk(&rewritten, &[], head(&rewritten)),
        Ok(5),
        "nothing but a checkpoint knows better"
    );
    let marks = [mark(&links[0]), mark(&links[1]), mark(&links[4])];
    assert_eq!(
        walk(&rewritten, &marks, head(&rewritten)),
        Err(Break {
            seq: 3,
            fault: Fault::Rewritten
        })
    );
}

/// Walks from the event of the first of the marks on.
fn resume(links: &[Link], marks: &[Checkpoint], head: (i64, &[u8])) -> Result<i64, Break> {
    let mut walk = Walk::resume("acme", marks, 0);
    let from = walk.seq();
    for link in links.iter().filter(|link| link.seq > from) {
        walk.step(link)?;
    }
    walk.end(head.0, head.1)
}

#[test]
fn a_walk_from_a_checkpoint_sees_what_is_bad_from_there_on() {
    let mut links = chain(5, "a");
    let (end, marks) = (links[4].hash.clone(), [mark(&links[2])]);
    let good = (5, end.as_slice());
    links[0].canonical.push(' ');
    assert_eq!(resume(&links, &marks, good), Ok(5), "what is before is not looked at");
    let broken = |at: usize| {
        let mut links = links.clone();
        links[at].canonical.push(' ');
        resume(&links, &marks, good).expect_err("found")
    };
    for at in 2..5 {
        let seq = i64::try_from(at).expect("small") + 1;
        let fault = Fault::Changed;
        assert_eq!(broken(at), Break { seq, fault });
    }
    let other = chain(5, "b");
    let rewritten = resume(&other, &marks, head(&other)).expect_err("found");
    assert_eq!((rewritten.seq, rewritten.fault), (3, Fault::Rewritten));
    let gone = resume(&links[..2], &marks, head(&links[..2])).expect_err("found");
    assert_eq!((gone.seq, gone.fault), (3, Fault::Truncated));
}

#[test]
fn a_walk_in_parts_finds_what_one_walk_finds() {
    let links = chain(6, "a");
    let marks = [mark(&links[1]), mark(&links[4])];
    let in_parts = |links: &[Link], end: (i64, &[u8])| -> Result<i64, Break> {
        let (mut seq, mut hash) = (0, GENESIS.to_vec());
        for part in links.chunks(2) {
            let mut walk = Walk::go_on("acme", &marks, seq, hash.clone());
            part.iter().try_for_each(|link| walk.step(link))?;
            (seq, hash) = (walk.seq(), walk.hash().expect("walked").to_vec());
        }
        Walk::go_on("acme", &marks, seq, hash).end(end.0, end.1)
    };
    assert_eq!(in_parts(&links, head(&links)), Ok(6));
    let other = chain(6, "b");
    let mut spliced = links[..2].to_vec();
    spliced.extend_from_slice(&other[2..]);
    for bad in [&other, &spliced] {
        assert_eq!(in_parts(bad, head(bad)), walk(bad, &marks, head(bad)));
        assert!(in_parts(bad, head(bad)).is_err());
    }
    let cut = &links[..4];
    assert_eq!(in_parts(cut, head(cut)), walk(cut, &marks, head(cut)));
}

#[test]
fn an_event_of_another_tenant_is_out_of_place() {
    let links = chain(2, "a");
    let mut walk = Walk::begin("globex", &[]);
    assert_eq!(
        walk.step(&links[0]),
        Err(Break {
            seq: 1,
            fault: Fault::Misplaced
        })
    );
}

proptest! {
    #[test]
    fn a_flipped_byte_anywhere_is_found_at_its_event(at in 0_usize..8, byte in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let mut links = chain(8, "a");
        let head = (8, links[7].hash.clone());
        let mut bytes = links[at].canonical.clone().into_bytes();
        let place = byte.index(bytes.len());
        bytes[place] ^= 1 << bit;
        links[at].canonical = String::from_utf8(bytes).expect("ASCII stays ASCII");
        let broken = walk(&links, &[], (head.0, &head.1)).expect_err("found");
        prop_assert_eq!(broken, Break { seq: i64::try_from(at).expect("small") + 1, fault: Fault::Changed });
    }

    #[test]
    fn a_removed_event_is_found_at_its_number(at in 0_usize..8) {
        let mut links = chain(8, "a");
        let head = (8, links[7].hash.clone());
        links.remove(at);
        let broken = walk(&links, &[], (head.0, &head.1)).expect_err("found");
        prop_assert_eq!(broken, Break { seq: i64::try_from(at).expect("small") + 1, fault: Fault::Missing });
    }
}
