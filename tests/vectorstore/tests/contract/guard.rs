//! The guarded upsert: the rule by which a projection never goes back.

use qdrant_client::qdrant::{Condition, Filter, PointId, Range, UpdateMode};
use serde_json::json;
use uuid::Uuid;

use crate::ground::{memory, on_collection, point, stamp_of};

/// The guard of one point: it may be overwritten by its own tenant, by something newer.
pub fn older_than(id: impl Into<PointId>, tenant: &str, generation: i64, version: i64) -> Condition {
    let below = |key: &str, bound: i64| {
        let range = Range {
            lt: Some(bound as f64),
            ..Default::default()
        };
        Condition::range(key, range)
    };
    let same_generation = Condition::matches("generation", generation);
    let newer = Filter::should([
        below("generation", generation),
        Filter::must([same_generation, below("version", version)]).into(),
    ]);
    let own = Condition::matches("tenant", tenant.to_owned());
    Filter::must([Condition::has_id([id.into()]), own, newer.into()]).into()
}

#[tokio::test]
async fn a_newer_version_or_generation_overwrites() {
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        for (generation, version) in [(1, 2), (2, 1), (2, 7)] {
            let guard = Filter::should([older_than(1, "a", generation, version)]);
            ground
                .put_guarded(vec![memory(1, "a", generation, version)], guard)
                .await;
            assert_eq!(ground.only_stamp().await, (generation, version));
        }
    })
    .await;
}

#[tokio::test]
async fn an_older_or_equal_one_is_refused_and_still_completes() {
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 2, 5)]).await;
        for (generation, version) in [(2, 4), (2, 5), (1, 9)] {
            let guard = Filter::should([older_than(1, "a", generation, version)]);
            ground
                .put_guarded(vec![memory(1, "a", generation, version)], guard)
                .await;
            assert_eq!(ground.only_stamp().await, (2, 5));
        }
    })
    .await;
}

#[tokio::test]
async fn another_tenants_point_is_never_overwritten() {
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        let guard = Filter::should([older_than(1, "b", 9, 9)]);
        ground.put_guarded(vec![memory(1, "b", 9, 9)], guard).await;
        assert_eq!(ground.only_stamp().await, (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_point_that_does_not_exist_is_inserted_whatever_the_guard() {
    on_collection(|ground| async move {
        let nothing = Filter::must([Condition::matches("tenant", "nobody".to_owned())]);
        ground.put_guarded(vec![memory(1, "a", 1, 1)], nothing).await;
        assert_eq!(ground.only_stamp().await, (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_guard_is_judged_on_the_state_before_the_batch_and_the_last_of_an_id_wins() {
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 1, 5)]).await;
        // The danger that rule R1 answers: v9 opens the gate, and v1 behind it goes through too.
        let guard = Filter::should([older_than(1, "a", 1, 9), older_than(1, "a", 1, 1)]);
        let batch = vec![memory(1, "a", 1, 9), memory(1, "a", 1, 1)];
        ground.put_guarded(batch, guard).await;
        assert_eq!(ground.only_stamp().await, (1, 1));
    })
    .await;
}

#[tokio::test]
async fn one_batch_inserts_updates_and_refuses_point_by_point() {
    on_collection(|ground| async move {
        let ids: Vec<PointId> = (1..=4_u128).map(|n| Uuid::from_u128(n).to_string().into()).collect();
        let id = |n: usize| ids[n].clone();
        let before = [
            memory(id(0), "a", 1, 5),
            memory(id(1), "a", 1, 5),
            memory(id(2), "b", 1, 1),
        ];
        ground.put(before.to_vec()).await;
        let batch = [(0, 1, 6), (1, 1, 4), (2, 2, 9), (3, 1, 1)];
        let points = batch.map(|(n, generation, version)| memory(id(n), "a", generation, version));
        let guards = batch.map(|(n, generation, version)| older_than(id(n), "a", generation, version));
        ground.put_guarded(points.to_vec(), Filter::should(guards)).await;
        let stamps: Vec<_> = ground.all(Filter::default()).await.iter().map(stamp_of).collect();
        assert_eq!(stamps, [(1, 6), (1, 5), (1, 1), (1, 1)]);
    })
    .await;
}

#[tokio::test]
async fn an_upsert_replaces_the_whole_point() {
    on_collection(|ground| async move {
        ground
            .put(vec![point(1, [1.0, 0.0, 0.0, 0.0], json!({"old": 1}))])
            .await;
        let mut bare = memory(1, "a", 1, 2);
        bare.vectors = None;
        ground.put(vec![bare]).await;
        let points = ground.all(Filter::must_not([Condition::has_vector("content")])).await;
        assert_eq!(points.len(), 1);
        assert!(!points[0].payload.contains_key("old"));
    })
    .await;
}

#[tokio::test]
async fn insert_only_leaves_what_exists_and_update_only_adds_nothing() {
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        let both = |version| vec![memory(1, "a", 1, version), memory(2, "a", 1, version)];
        ground.put_as(UpdateMode::InsertOnly, both(2)).await;
        let stamps = async || -> Vec<_> {
            ground
                .all(Filter::default())
                .await
                .iter()
                .map(|point| stamp_of(point).1)
                .collect()
        };
        assert_eq!(stamps().await, [1, 2]);
        let mut three = both(3);
        three.push(memory(3, "a", 1, 3));
        ground.put_as(UpdateMode::UpdateOnly, three).await;
        assert_eq!(stamps().await, [3, 3]);
    })
    .await;
}
