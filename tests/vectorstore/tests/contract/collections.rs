//! The life of a collection.

use qdrant_client::qdrant::{
    CollectionStatus, CreateFieldIndexCollectionBuilder, Distance, FieldType, PayloadSchemaType, vectors_config::Config,
};

use crate::ground::{SIZE, VECTOR, memory, on_collection};

#[tokio::test]
async fn a_collection_tells_its_vectors_its_indexes_and_its_points() {
    on_collection(|ground| async move {
        let name = &ground.collection;
        let index = CreateFieldIndexCollectionBuilder::new(name, "generation", FieldType::Integer);
        ground.client.create_field_index(index.wait(true)).await.unwrap();
        ground.put([1, 2].map(|id| memory(id, "a", 1, 1)).to_vec()).await;

        let info = ground.client.collection_info(name).await.unwrap().result.unwrap();
        assert_eq!(info.status(), CollectionStatus::Green);
        assert_eq!(info.points_count, Some(2));
        let schema = &info.payload_schema;
        assert_eq!(schema["generation"].data_type(), PayloadSchemaType::Integer);
        assert_eq!(schema["tenant"].data_type(), PayloadSchemaType::Keyword);
        let vectors = info.config.unwrap().params.unwrap().vectors_config.unwrap();
        let Some(Config::ParamsMap(map)) = vectors.config else {
            panic!("no named vectors")
        };
        assert_eq!(map.map[VECTOR].size, SIZE);
        assert_eq!(map.map[VECTOR].distance(), Distance::Cosine);

        ground
            .client
            .delete_field_index(
                qdrant_client::qdrant::DeleteFieldIndexCollectionBuilder::new(name, "generation").wait(true),
            )
            .await
            .unwrap();
        let info = ground.client.collection_info(name).await.unwrap().result.unwrap();
        assert!(!info.payload_schema.contains_key("generation"));
    })
    .await;
}

#[tokio::test]
async fn a_collection_is_listed_until_it_is_deleted_and_comes_back_empty() {
    on_collection(|ground| async move {
        let client = &ground.client;
        let is_listed = async || {
            let all = client.list_collections().await.unwrap().collections;
            all.iter().any(|one| one.name == ground.collection)
        };
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        assert!(is_listed().await && client.collection_exists(&ground.collection).await.unwrap());
        assert!(client.delete_collection(&ground.collection).await.unwrap().result);
        assert!(!is_listed().await && !client.collection_exists(&ground.collection).await.unwrap());
        ground.create().await;
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
async fn a_write_that_is_not_waited_for_is_only_acknowledged() {
    on_collection(|ground| async move {
        let mut request = ground.upsert(vec![memory(1, "a", 1, 1)]);
        request.wait = Some(false);
        let answer = ground.client.upsert_points(request).await.unwrap().result.unwrap();
        assert_eq!(answer.status(), qdrant_client::qdrant::UpdateStatus::Acknowledged);
    })
    .await;
}
