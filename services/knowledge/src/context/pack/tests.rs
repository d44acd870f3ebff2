use proptest::prelude::*;

use super::*;
use crate::context::rank::{Reason, Taste, rank};
use crate::context::{Candidate, Source};
use crate::item::Severity;

const TASTE: Taste = Taste {
    min_relevance: 0.3,
    lambda: 0.5,
};

fn candidate() -> impl Strategy<Value = Candidate> {
    let source = prop_oneof![
        Just(Source::Policy),
        Just(Source::Knowledge),
        Just(Source::Note),
        Just(Source::Memory)
    ];
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warn), Just(Severity::Block)];
    // Line ends, fences, other scripts and runs of signs are what tokenizers and fences stumble over.
    let text = "([a-z]{1,8}[ .\\n]|</source>|<|\\PC|[\\n/>]|[а-я]{3} |1234){0,30}";
    (
        source,
        severity,
        text,
        0.0..1.0_f64,
        "[a-z\"]{1,6}",
        any::<bool>(),
        0_u32..1_000_000,
    )
        .prop_map(|(source, severity, text, relevance, title, pinned, id)| Candidate {
            reference: format!("{}:{id}@1", source.as_str()),
            source,
            layer: "team".to_owned(),
            title: Some(title),
            summary: None,
            text,
            relevance,
            severity,
            pinned,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_budget_holds_and_more_budget_keeps_what_less_had(
        candidates in proptest::collection::vec(candidate(), 0..6), budget in 0_usize..600, extra in 0_usize..300,
    ) {
        let known: Vec<String> = candidates.iter().map(|one| one.reference.clone()).collect();
        let (ranked, _) = rank(candidates, "a question", TASTE);
        let (less, more) = (pack(&ranked, budget), pack(&ranked, budget + extra));
        for (packed, budget) in [(&less, budget), (&more, budget + extra)] {
            // The sum of the parts is what the whole has.
            prop_assert_eq!(tokens::count(&packed.content), packed.tokens, "{:?}", packed.content);
            prop_assert!(packed.tokens <= budget);
            // A prefix of the order, so nothing is dropped before what ranks lower.
            prop_assert!(packed.chosen.iter().enumerate().all(|(n, one)| n == one.place));
        }
        prop_assert!(more.chosen.len() >= less.chosen.len());
        // Nothing is told that was not given: each fence names a candidate.
        let fences = more.content.matches("<source ref=\"").count();
        prop_assert_eq!(fences, more.chosen.len());
        for one in &more.chosen {
            prop_assert!(known.contains(&ranked[one.place].candidate.reference));
        }
        // Policies stand before everything else.
        let classes: Vec<u8> = ranked.iter().map(Ranked::class).collect();
        prop_assert!(classes.is_sorted());
    }

    #[test]
    fn the_order_does_not_depend_on_the_order_of_arrival(candidates in proptest::collection::vec(candidate(), 0..5)) {
        let mut unique = candidates;
        unique.sort_by(|a, b| a.reference.cmp(&b.reference));
        unique.dedup_by(|a, b| a.reference == b.reference);
        let mut turned = unique.clone();
        turned.reverse();
        let names = |(ranked, _): (Vec<Ranked>, Vec<(String, Reason)>)| {
            ranked.into_iter().map(|one| one.candidate.reference).collect::<Vec<_>>()
        };
        prop_assert_eq!(names(rank(unique, "q", TASTE)), names(rank(turned, "q", TASTE)));
    }
}

fn named(name: &str, source: Source, text: &str, relevance: f64) -> Candidate {
    Candidate {
        reference: name.to_owned(),
        source,
        layer: "team".to_owned(),
        title: None,
        summary: None,
        text: text.to_owned(),
        relevance,
        severity: Severity::Block,
        pinned: false,
    }
}

#[test]
fn what_is_said_twice_is_told_once_and_what_is_beside_the_point_not_at_all() {
    let candidates = vec![
        named(
            "a",
            Source::Knowledge,
            "retry with jitter and stop after five tries",
            0.9,
        ),
        named(
            "b",
            Source::Memory,
            "Retry with jitter, and stop after five tries!",
            0.8,
        ),
        named("c", Source::Note, "the canteen has soup", 0.1),
        named("p", Source::Policy, "never retry a payment", 0.0),
    ];
    let (ranked, left_out) = rank(candidates, "retry", TASTE);
    let names: Vec<&str> = ranked.iter().map(|one| one.candidate.reference.as_str()).collect();
    assert_eq!(names, ["p", "a"]);
    assert_eq!(
        left_out,
        [("c".to_owned(), Reason::Threshold), ("b".to_owned(), Reason::Duplicate)]
    );
}

#[test]
fn depth_is_given_up_before_a_place() {
    let long = |topic: &str| format!("{topic} is the point. {}", format!("More about {topic}. ").repeat(60));
    let candidates: Vec<Candidate> = ["alpha", "beta", "gamma"]
        .iter()
        .map(|topic| named(topic, Source::Knowledge, &long(topic), 0.9))
        .collect();
    let (ranked, _) = rank(candidates, "alpha", TASTE);
    let shortest: usize = ranked.iter().map(|one| one.blocks.last().expect("one").tokens).sum();
    let packed = pack(&ranked, shortest + tokens::count(PROLOGUE));
    assert_eq!(packed.chosen.len(), 3);
    assert!(
        packed.chosen.iter().all(|one| one.depth == Depth::Sentence),
        "{:?}",
        packed.chosen
    );
    let roomy = pack(&ranked, 10_000);
    assert!(
        roomy.chosen.iter().all(|one| one.depth == Depth::Full),
        "{:?}",
        roomy.chosen
    );
}
