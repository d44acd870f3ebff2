use proptest::prelude::*;

use super::*;

fn candidate(n: usize, text: &str, relevance: f64, kind: u8) -> Candidate {
    Candidate {
        reference: format!("knowledge:{n}.md@1"),
        source: if kind == 0 { Source::Policy } else { Source::Knowledge },
        layer: "team".to_owned(),
        title: None,
        summary: None,
        text: text.to_owned(),
        relevance,
        severity: Severity::Info,
        pinned: kind == 1,
    }
}

/// The order as it is defined: each time all that waits is compared with all that is told.
fn as_defined(mut waiting: Vec<Waiting>, lambda: f64) -> (Vec<String>, Vec<String>) {
    let densest = waiting.iter().map(|one| one.density).fold(f64::MIN_POSITIVE, f64::max);
    let (mut told, mut left_out): (Vec<Waiting>, Vec<String>) = (Vec::new(), Vec::new());
    while !waiting.is_empty() {
        for one in &mut waiting {
            let others = told.iter().map(|other| likeness(&one.words, &other.words));
            one.likeness = others.fold(0.0, f64::max);
        }
        let next = waiting.remove(choose(&waiting, densest, lambda));
        if next.ranked.class() == 4 && next.likeness >= SAME {
            left_out.push(next.ranked.candidate.reference);
        } else {
            told.push(next);
        }
    }
    let told = told.into_iter().map(|one| one.ranked.candidate.reference).collect();
    (told, left_out)
}

#[test]
fn what_matters_least_is_beyond_the_bound() {
    let text = "x".repeat(10);
    let all = vec![
        candidate(0, &text, 0.9, 2),
        candidate(1, &text, 0.5, 2),
        candidate(2, &text, 0.0, 1),
        candidate(3, &text, 0.0, 0),
    ];
    let (kept, beyond) = bound(all, 30, |one| one.text.len());
    let kept: Vec<&str> = kept.iter().map(|one| one.reference.as_str()).collect();
    assert_eq!(kept, ["knowledge:3.md@1", "knowledge:2.md@1", "knowledge:0.md@1"]);
    assert_eq!(beyond, [("knowledge:1.md@1".to_owned(), Reason::Budget)]);
}

proptest! {
    #[test]
    fn comparing_each_pair_once_gives_the_order_that_is_defined(
        texts in proptest::collection::vec(("([a-e] ?){0,8}", 0.0..=1.0_f64, 0..6_u8), 0..12), lambda in 0.0..=1.0_f64,
    ) {
        let all: Vec<Candidate> = texts.iter().enumerate()
            .map(|(n, (text, relevance, kind))| candidate(n, text, *relevance, *kind)).collect();
        let (ranked, left_out) = rank(all.clone(), "a b", Taste { min_relevance: 0.0, lambda });
        let asked = markdown::words("a b");
        let mut waiting: Vec<Waiting> = all.into_iter().map(|one| weigh(one, &asked)).collect();
        waiting.sort_by(order);
        let (told, doubles) = as_defined(waiting, lambda);
        let ranked: Vec<String> = ranked.into_iter().map(|one| one.candidate.reference).collect();
        let left_out: Vec<String> = left_out.into_iter().map(|(reference, _)| reference).collect();
        prop_assert_eq!((ranked, left_out), (told, doubles));
    }
}
