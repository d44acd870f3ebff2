//! What is refused, and with which code and words.

use qdrant_client::{
    QdrantError,
    qdrant::{
        CountPointsBuilder, CreateCollectionBuilder, Distance, QueryPointsBuilder, ScrollPointsBuilder,
        VectorParamsBuilder,
    },
};
use serde_json::json;
use tonic::Code;

use crate::ground::{VECTOR, memory, on_collection, point};

/// Asserts that a call was refused with this code and a text that contains these words.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, QdrantError>, code: Code, words: &str) {
    match answer {
        Err(QdrantError::ResponseError { status }) => {
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message().contains(words), "{status}");
        }
        other => panic!("expected {code:?}, got {other:?}"),
    }
}

#[tokio::test]
async fn a_vector_of_the_wrong_dimension_is_invalid_and_nothing_of_its_batch_is_written() {
    on_collection(|ground| async move {
        let mut wrong = point(2, [1.0; 4], json!({}));
        let short = qdrant_client::qdrant::NamedVectors::default().add_vector(VECTOR, vec![1.0; 3]);
        wrong.vectors = Some(short.into());
        let batch = ground.upsert(vec![memory(1, "a", 1, 1), wrong]);
        let words = "Wrong input: Vector dimension error: expected dim: 4, got 3";
        refused(ground.client.upsert_points(batch).await, Code::InvalidArgument, words);
        let query = QueryPointsBuilder::new(&ground.collection)
            .query(vec![1.0; 5])
            .using(VECTOR);
        let words = "Vector dimension error: expected dim: 4, got 5";
        refused(ground.client.query(query).await, Code::InvalidArgument, words);
        assert!(
            ground
                .numbers(qdrant_client::qdrant::Filter::default())
                .await
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_vector_name_is_invalid() {
    on_collection(|ground| async move {
        let words = "Not existing vector name error";
        let mut wrong = memory(1, "a", 1, 1);
        let other = qdrant_client::qdrant::NamedVectors::default().add_vector("other", vec![1.0; 4]);
        wrong.vectors = Some(other.into());
        let answer = ground.client.upsert_points(ground.upsert(vec![wrong])).await;
        refused(answer, Code::InvalidArgument, words);
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        let query = QueryPointsBuilder::new(&ground.collection)
            .query(vec![1.0; 4])
            .using("other");
        refused(ground.client.query(query).await, Code::InvalidArgument, words);
    })
    .await;
}

#[tokio::test]
async fn a_missing_collection_is_not_found_by_every_call() {
    on_collection(|mut ground| async move {
        let client = ground.client.clone();
        ground.collection += "-missing";
        let name = ground.collection.as_str();
        let words = format!("Not found: Collection `{name}` doesn't exist!");
        let (code, words) = (Code::NotFound, words.as_str());
        refused(
            client.upsert_points(ground.upsert(vec![memory(1, "a", 1, 1)])).await,
            code,
            words,
        );
        refused(client.count(CountPointsBuilder::new(name)).await, code, words);
        refused(client.scroll(ScrollPointsBuilder::new(name)).await, code, words);
        let query = QueryPointsBuilder::new(name).query(vec![1.0; 4]).using(VECTOR);
        refused(client.query(query).await, code, words);
        refused(client.collection_info(name).await, code, words);
        assert!(!client.collection_exists(name).await.unwrap());
        assert!(!client.delete_collection(name).await.unwrap().result);
    })
    .await;
}

#[tokio::test]
async fn creating_a_collection_twice_is_refused() {
    on_collection(|ground| async move {
        let again = CreateCollectionBuilder::new(&ground.collection)
            .vectors_config(VectorParamsBuilder::new(4, Distance::Cosine));
        let words = format!("Wrong input: Collection `{}` already exists!", ground.collection);
        refused(
            ground.client.create_collection(again).await,
            Code::AlreadyExists,
            &words,
        );
    })
    .await;
}
