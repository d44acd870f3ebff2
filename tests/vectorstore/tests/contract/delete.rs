//! Deleting points.

use qdrant_client::qdrant::{Condition, DeletePointsBuilder, Filter, PointId, PointsIdsList, Range, UpdateStatus};

use crate::ground::{Ground, memory, on_collection};

async fn delete(ground: &Ground, request: DeletePointsBuilder) {
    let answer = ground.client.delete_points(request.wait(true)).await.unwrap();
    assert_eq!(answer.result.unwrap().status(), UpdateStatus::Completed);
}

#[tokio::test]
async fn deleting_by_filter_takes_one_tenant_up_to_a_generation_and_nothing_else() {
    on_collection(|ground| async move {
        let points = [(1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "b", 1)];
        let points = points.map(|(id, tenant, generation)| memory(id, tenant, generation, 1));
        ground.put(points.to_vec()).await;
        let bound = Range {
            lte: Some(2.0),
            ..Default::default()
        };
        let filter = Filter::must([
            Condition::matches("tenant", "a".to_owned()),
            Condition::range("generation", bound),
        ]);
        delete(&ground, DeletePointsBuilder::new(&ground.collection).points(filter)).await;
        assert_eq!(ground.numbers(Filter::default()).await, [3, 4]);
    })
    .await;
}

#[tokio::test]
async fn deleting_by_id_takes_those_that_exist() {
    on_collection(|ground| async move {
        ground.put([1, 2, 3].map(|id| memory(id, "a", 1, 1)).to_vec()).await;
        let ids: Vec<PointId> = vec![1.into(), 3.into(), 99.into()];
        let list = PointsIdsList { ids };
        delete(&ground, DeletePointsBuilder::new(&ground.collection).points(list)).await;
        assert_eq!(ground.numbers(Filter::default()).await, [2]);
        // The place of a deleted point is used again without a trace of it.
        ground.put(vec![memory(1, "b", 1, 1)]).await;
        let of_b = Filter::must([Condition::matches("tenant", "b".to_owned())]);
        assert_eq!(ground.numbers(of_b).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn setting_a_payload_merges_and_keeps_the_vector() {
    use qdrant_client::{Payload, qdrant::SetPayloadPointsBuilder};
    on_collection(|ground| async move {
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        let payload = Payload::try_from(serde_json::json!({"tenant": "b"})).unwrap();
        let ids = PointsIdsList { ids: vec![1.into()] };
        let set = SetPayloadPointsBuilder::new(&ground.collection, payload).points_selector(ids);
        ground.client.set_payload(set.wait(true)).await.unwrap();
        let of_b = Filter::must([
            Condition::matches("tenant", "b".to_owned()),
            Condition::matches("generation", 1),
            Condition::has_vector("content"),
        ]);
        assert_eq!(ground.numbers(of_b).await, [1]);
    })
    .await;
}
