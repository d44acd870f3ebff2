//! Every kind of filter, each counted and listed.

use qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, Match, MinShould, Range, ValuesCount, condition::ConditionOneOf,
    r#match::MatchValue,
};
use serde_json::json;

use crate::ground::{Ground, marker, on_collection, point};

const ANY: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

async fn fill(ground: &Ground) {
    let payloads = [
        (1, json!({"tenant": "a", "n": 1, "ok": true, "tags": ["x", "y"]})),
        (
            2,
            json!({"tenant": "a", "n": 2, "ok": false, "tags": [], "deep": {"er": "yes"}}),
        ),
        (3, json!({"tenant": "b", "n": 3, "x": 2.5, "tags": ["y"], "none": null})),
        (4, json!({"tenant": "b", "list": [{"k": "p"}, {"k": "q"}], "tags": "x"})),
    ];
    let points = payloads.map(|(id, payload)| point(id, ANY, payload));
    ground.put(points.to_vec()).await;
    ground.put(vec![marker(5, "c", 1, 1)]).await;
}

/// Asserts what a filter matches, and that counting agrees with listing.
async fn expect(ground: &Ground, what: &str, filter: Filter, expected: &[u64]) {
    use qdrant_client::qdrant::CountPointsBuilder;
    assert_eq!(ground.numbers(filter.clone()).await, expected, "{what}");
    let count = CountPointsBuilder::new(&ground.collection).filter(filter).exact(true);
    let count = ground.client.count(count).await.unwrap().result.unwrap().count;
    assert_eq!(count, expected.len() as u64, "{what}");
}

fn field(condition: FieldCondition) -> Condition {
    ConditionOneOf::Field(condition).into()
}

fn matching(key: &str, value: MatchValue) -> Condition {
    field(FieldCondition {
        key: key.to_owned(),
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..Default::default()
    })
}

fn range(key: &str, range: Range) -> Filter {
    Filter::must([Condition::range(key, range)])
}

#[tokio::test]
async fn a_match_finds_words_numbers_flags_and_elements_of_arrays() {
    on_collection(|ground| async move {
        fill(&ground).await;
        let expect = async |what, condition: Condition, ids: &[u64]| {
            expect(&ground, what, Filter::must([condition]), ids).await;
        };
        expect("keyword", Condition::matches("tenant", "a".to_owned()), &[1, 2]).await;
        expect("keyword of none", Condition::matches("tenant", "z".to_owned()), &[]).await;
        expect("integer", Condition::matches("n", 2), &[2]).await;
        expect("boolean", Condition::matches("ok", true), &[1]).await;
        expect("element", Condition::matches("tags", "x".to_owned()), &[1, 4]).await;
        expect("nested key", Condition::matches("deep.er", "yes".to_owned()), &[2]).await;
        expect(
            "each element's key",
            Condition::matches("list[].k", "q".to_owned()),
            &[4],
        )
        .await;
        let words = vec!["b".to_owned(), "c".to_owned()];
        expect("keywords", Condition::matches("tenant", words.clone()), &[3, 4, 5]).await;
        expect("integers", Condition::matches("n", vec![1, 3]), &[1, 3]).await;
        let except = MatchValue::ExceptKeywords(words.into());
        expect("except keywords", matching("tenant", except), &[1, 2]).await;
        let except = MatchValue::ExceptIntegers(vec![1].into());
        expect("except integers", matching("n", except), &[2, 3]).await;
    })
    .await;
}

#[tokio::test]
async fn a_range_compares_integers_and_doubles() {
    on_collection(|ground| async move {
        fill(&ground).await;
        let bounds = |gt, gte, lt, lte| Range { lt, gt, gte, lte };
        let cases = [
            ("gt", "n", bounds(Some(1.0), None, None, None), &[2, 3][..]),
            ("gte", "n", bounds(None, Some(2.0), None, None), &[2, 3]),
            ("lt", "n", bounds(None, None, Some(2.0), None), &[1]),
            ("lte", "n", bounds(None, None, None, Some(2.0)), &[1, 2]),
            ("both", "n", bounds(Some(1.0), None, Some(3.0), None), &[2]),
            ("double", "x", bounds(Some(2.4), None, Some(2.6), None), &[3]),
            ("no number", "tenant", bounds(Some(0.0), None, None, None), &[]),
        ];
        for (what, key, bounds, ids) in cases {
            expect(&ground, what, range(key, bounds), ids).await;
        }
    })
    .await;
}

#[tokio::test]
async fn absence_null_and_counts_can_be_asked_for() {
    on_collection(|ground| async move {
        fill(&ground).await;
        let expect = async |what, condition: Condition, ids: &[u64]| {
            expect(&ground, what, Filter::must([condition]), ids).await;
        };
        expect("empty", Condition::is_empty("tags"), &[2, 5]).await;
        expect("empty when null", Condition::is_empty("none"), &[1, 2, 3, 4, 5]).await;
        expect("null", Condition::is_null("none"), &[3]).await;
        let count = ValuesCount {
            gte: Some(2),
            ..Default::default()
        };
        expect("count", Condition::values_count("tags", count), &[1]).await;
        expect("vector", Condition::has_vector("content"), &[1, 2, 3, 4]).await;
        expect("ids", Condition::has_id([4, 2, 99]), &[2, 4]).await;
    })
    .await;
}

#[tokio::test]
async fn clauses_combine_and_nest() {
    on_collection(|ground| async move {
        fill(&ground).await;
        let tenant = |name: &str| Condition::matches("tenant", name.to_owned());
        let n = |number: i64| Condition::matches("n", number);
        let cases = [
            ("nothing", Filter::default(), &[1, 2, 3, 4, 5][..]),
            ("must", Filter::must([tenant("a"), n(2)]), &[2]),
            ("should", Filter::should([n(1), tenant("b")]), &[1, 3, 4]),
            ("must_not", Filter::must_not([tenant("a"), n(3)]), &[4, 5]),
            (
                "filter in filter",
                Filter::must([Filter::should([n(1), n(3)]).into()]),
                &[1, 3],
            ),
            (
                "all kinds at once",
                Filter {
                    must: vec![tenant("a")],
                    should: vec![n(1), n(2)],
                    must_not: vec![Condition::matches("ok", true)],
                    ..Default::default()
                },
                &[2],
            ),
            (
                "min_should",
                Filter {
                    min_should: Some(MinShould {
                        conditions: vec![tenant("a"), n(2), Condition::matches("ok", false)],
                        min_count: 2,
                    }),
                    ..Default::default()
                },
                &[2],
            ),
            (
                "clauses by id",
                Filter::should([
                    Filter::must([Condition::has_id([1]), tenant("a")]).into(),
                    Filter::must([Condition::has_id([2]), tenant("b")]).into(),
                    Filter::must([Condition::has_id([3, 4]), n(3)]).into(),
                    tenant("c"),
                ]),
                &[1, 3, 5],
            ),
        ];
        for (what, filter, ids) in cases {
            expect(&ground, what, filter, ids).await;
        }
    })
    .await;
}
