//! In which order the members of an archive are written, and how their lives begin.
//!
//! Pure. An accepted item takes the place of another, which must be there first; and no item begins its life at its end. So
//! predecessors go first, and an item that is at an end is led there: what was superseded begins as accepted and is superseded
//! by its successor in the same archive.

use std::collections::{HashMap, HashSet};

use super::Member;
use crate::item::Status;
use crate::item::front_matter;
use crate::path::compose;

/// Sorts members: by path, but each behind the one that it supersedes.
#[must_use]
pub fn sort(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by(|a, b| a.path.cmp(&b.path));
    let predecessors: Vec<Option<String>> = members.iter().map(predecessor).collect();
    let places: HashMap<&str, usize> = members
        .iter()
        .enumerate()
        .map(|(at, one)| (one.path.as_str(), at))
        .collect();
    let mut order = Vec::with_capacity(members.len());
    let mut done = HashSet::new();
    for begin in 0..members.len() {
        // Back along the chain as far as it is new; a circle ends where it began.
        let (mut chain, mut next) = (Vec::new(), Some(begin));
        while let Some(at) = next.filter(|at| done.insert(*at)) {
            chain.push(at);
            let before = predecessors.get(at).and_then(Option::as_deref);
            next = before.and_then(|path| places.get(path).copied());
        }
        order.extend(chain.into_iter().rev());
    }
    let mut slots: Vec<Option<Member>> = members.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| slots.get_mut(at)?.take()).collect()
}

/// What cannot be read here is refused when it is written.
fn predecessor(member: &Member) -> Option<String> {
    let (yaml, _) = front_matter::split(&member.text).ok()?;
    front_matter::read(yaml?).ok()?.supersedes.as_deref().map(compose)
}

/// Returns the status in which a member is written first. `live` is the status of what is at its path.
#[must_use]
pub fn first_status(wanted: Status, live: Option<Status>) -> Status {
    match (wanted, live) {
        // Its successor makes it so.
        (Status::Superseded, Some(live)) => live,
        (Status::Superseded | Status::Deprecated, None) => Status::Accepted,
        (Status::Rejected, None) => Status::Proposed,
        (wanted, _) => wanted,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::status::STATUSES;
    use crate::path::ItemPath;

    fn member(path: &str, supersedes: Option<&str>) -> Member {
        let front = supersedes
            .map(|path| format!("---\nsupersedes: {path}\n---\n"))
            .unwrap_or_default();
        Member {
            path: ItemPath::parse(path).expect("a path"),
            text: format!("{front}text"),
        }
    }

    fn paths(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.path.as_str()).collect()
    }

    #[test]
    fn predecessors_go_first_and_a_circle_ends() {
        let sorted = sort(vec![
            member("a", Some("c")),
            member("b", None),
            member("c", Some("d")),
            member("d", None),
        ]);
        assert_eq!(paths(&sorted), ["d", "c", "a", "b"]);
        let sorted = sort(vec![
            member("a", Some("b")),
            member("b", Some("a")),
            member("c", Some("elsewhere")),
        ]);
        assert_eq!(paths(&sorted), ["b", "a", "c"]);
    }

    #[test]
    fn every_life_begins_where_lives_begin() {
        for status in STATUSES {
            assert!(first_status(status, None).may_begin(), "{status:?}");
        }
        assert_eq!(
            first_status(Status::Superseded, Some(Status::Accepted)),
            Status::Accepted
        );
        assert_eq!(first_status(Status::Rejected, Some(Status::Draft)), Status::Rejected);
    }

    proptest! {
        #[test]
        fn no_member_is_lost_and_the_order_of_arrival_does_not_matter(links in proptest::collection::vec(0_usize..8, 1..8)) {
            let name = |n: usize| format!("m{n}");
            let members: Vec<Member> = links.iter().enumerate().map(|(n, to)| member(&name(n), Some(&name(*to)))).collect();
            let mut backwards = members.clone();
            backwards.reverse();
            let sorted = sort(members.clone());
            prop_assert_eq!(&sorted, &sort(backwards));
            let mut all = paths(&sorted);
            all.sort_unstable();
            prop_assert_eq!(all, paths(&members));
        }
    }
}
