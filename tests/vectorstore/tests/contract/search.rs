//! Searches by vector.

use qdrant_client::qdrant::{
    Condition, Filter, PointStruct, QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder, Range, ScoredPoint,
    point_id::PointIdOptions,
};
use serde_json::json;

use crate::ground::{Ground, VECTOR, marker, on_collection, point};

fn tenant(name: &str) -> Condition {
    Condition::matches("tenant", name.to_owned())
}

fn fan() -> Vec<PointStruct> {
    // Ten directions, each further away from the first axis than the one before, of two tenants.
    let points = (0..10_u16).map(|n| {
        let tenant = if n % 2 == 0 { "a" } else { "b" };
        let payload = json!({"tenant": tenant, "generation": n, "n": n});
        point(u64::from(n), [1.0, f32::from(n), 0.0, 0.0], payload)
    });
    points.collect()
}

fn near(ground: &Ground) -> QueryPointsBuilder {
    QueryPointsBuilder::new(&ground.collection)
        .query(vec![2.0, 0.0, 0.0, 0.0])
        .using(VECTOR)
}

async fn search(ground: &Ground, query: impl Into<QueryPoints>) -> Vec<ScoredPoint> {
    ground.client.query(query).await.unwrap().result
}

fn ids(points: &[ScoredPoint]) -> Vec<u64> {
    let ids = points.iter().map(|point| point.id.clone().unwrap());
    ids.map(|id| match id.point_id_options {
        Some(PointIdOptions::Num(number)) => number,
        other => panic!("not a number: {other:?}"),
    })
    .collect()
}

#[tokio::test]
async fn the_nearest_come_first_with_their_cosine_as_score() {
    on_collection(|ground| async move {
        ground.put(fan()).await;
        let hits = search(&ground, near(&ground).limit(3)).await;
        assert_eq!(ids(&hits), [0, 1, 2]);
        assert!((hits[0].score - 1.0).abs() < 1e-5);
        assert!((hits[1].score - 0.5_f32.sqrt()).abs() < 1e-5);
        assert!(hits.iter().all(|hit| hit.payload.is_empty() && hit.vectors.is_none()));
    })
    .await;
}

#[tokio::test]
async fn a_filter_an_offset_a_threshold_and_the_default_limit_are_obeyed() {
    on_collection(|ground| async move {
        ground.put(fan()).await;
        ground.put(vec![point(10, [1.0, 10.0, 0.0, 0.0], json!({}))]).await;
        let of_b = near(&ground).filter(Filter::must([tenant("b")]));
        assert_eq!(ids(&search(&ground, of_b.clone()).await), [1, 3, 5, 7, 9]);
        assert_eq!(ids(&search(&ground, of_b.clone().limit(2).offset(1)).await), [3, 5]);
        let close = near(&ground).score_threshold(0.4);
        assert_eq!(ids(&search(&ground, close).await), [0, 1, 2]);
        assert_eq!(search(&ground, near(&ground)).await.len(), 10);
        let floor = Range {
            gte: Some(6.0),
            ..Default::default()
        };
        let floor = Filter::must([tenant("a"), Condition::range("generation", floor)]);
        assert_eq!(ids(&search(&ground, near(&ground).filter(floor)).await), [6, 8]);
    })
    .await;
}

#[tokio::test]
async fn payload_and_vectors_come_when_asked_for_and_cosine_vectors_are_normalised() {
    on_collection(|ground| async move {
        ground
            .put(vec![point(1, [3.0, 4.0, 0.0, 0.0], json!({"k": "v", "other": 1}))])
            .await;
        let full = near(&ground).with_payload(true).with_vectors(true);
        let hits = search(&ground, full).await;
        assert_eq!(hits[0].payload.len(), 2);
        let vector = hits[0].vectors.as_ref().unwrap().get_vector_by_name(VECTOR).unwrap();
        let qdrant_client::qdrant::vector_output::Vector::Dense(dense) = vector else {
            panic!("not dense")
        };
        let expected = [0.6, 0.8, 0.0, 0.0];
        assert!(
            dense
                .data
                .iter()
                .zip(expected)
                .all(|(is, should)| (is - should).abs() < 1e-5)
        );
        let part = near(&ground).with_payload(qdrant_client::qdrant::PayloadIncludeSelector::new(vec!["k".to_owned()]));
        let hits = search(&ground, part).await;
        assert_eq!(hits[0].payload.keys().collect::<Vec<_>>(), ["k"]);
    })
    .await;
}

#[tokio::test]
async fn markers_without_a_vector_are_never_found_by_a_search() {
    on_collection(|ground| async move {
        ground.put(vec![marker(1, "a", 1, 1), marker(2, "a", 1, 1)]).await;
        ground
            .put(vec![point(3, [1.0, 0.0, 0.0, 0.0], json!({"tenant": "a"}))])
            .await;
        let found = near(&ground).filter(Filter::must([tenant("a")]));
        assert_eq!(ids(&search(&ground, found.clone()).await), [3]);
        // Nor once a point has become one.
        ground.put(vec![marker(3, "a", 1, 2)]).await;
        assert!(search(&ground, found).await.is_empty());
        assert_eq!(ground.numbers(Filter::must([tenant("a")])).await, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_answers_each_of_its_queries() {
    on_collection(|ground| async move {
        ground.put(fan()).await;
        let queries = ["a", "b"].map(|name| {
            let one = near(&ground).filter(Filter::must([tenant(name)])).limit(2);
            QueryPoints::from(one)
        });
        let batch = QueryBatchPointsBuilder::new(&ground.collection, queries.to_vec());
        let results = ground.client.query_batch(batch).await.unwrap().result;
        let found: Vec<_> = results.iter().map(|result| ids(&result.result)).collect();
        assert_eq!(found, [[0, 2], [1, 3]]);
    })
    .await;
}
