//! Where a case takes place: a server, a client, and a collection of its own.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use aeterna_vectorstore::{Running, Server};
use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType, Filter,
        KeywordIndexParamsBuilder, NamedVectors, PointId, PointStruct, RetrievedPoint, ScrollPointsBuilder, UpdateMode,
        UpdateStatus, UpsertPoints, Value, VectorParamsBuilder, VectorsConfigBuilder, value::Kind,
    },
};
use serde_json::json;
use uuid::Uuid;

/// The named vector of every case, and its size.
pub const VECTOR: &str = "content";
pub const SIZE: u64 = 4;

/// No condition of a case may take longer than this to come true.
pub const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Ground {
    pub client: Arc<Qdrant>,
    pub collection: String,
}

/// A directory that is removed at the end.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("vectorstore-{}", Uuid::new_v4())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn client(url: &str, api_key: Option<String>) -> Qdrant {
    let client = Qdrant::from_url(url).skip_compatibility_check().timeout(DEADLINE);
    client.api_key(api_key).build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs a case in a fresh collection with an index for tenants, and removes it whatever happens.
pub async fn on_collection<F, Fut>(case: F)
where
    F: FnOnce(Ground) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let directory = Directory::new();
    let (server, url) = if let Some(url) = environment("QDRANT_URL") {
        (None, url)
    } else {
        let server = Server::open(&directory.0).unwrap().start().await.unwrap();
        let url = server.url();
        (Some(server), url)
    };
    let ground = Ground {
        client: Arc::new(client(&url, environment("QDRANT_API_KEY"))),
        collection: format!("contract-{}", Uuid::new_v4()),
    };
    ground.create().await;
    let outcome = tokio::spawn(case(ground.clone())).await;
    ground.client.delete_collection(&ground.collection).await.unwrap();
    if let Some(server) = server {
        server.stop().await.unwrap();
    }
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// Runs a case against a stand-in of its own, whatever the environment says.
pub async fn on_stand_in(case: impl AsyncFnOnce(Ground, Running, PathBuf)) {
    let directory = Directory::new();
    let server = Server::open(&directory.0).unwrap().start().await.unwrap();
    let ground = Ground::of(&server);
    ground.create().await;
    case(ground, server, directory.0.clone()).await;
}

impl Ground {
    pub fn of(server: &Running) -> Self {
        Self {
            client: Arc::new(client(&server.url(), None)),
            collection: "memories".to_owned(),
        }
    }

    pub async fn create(&self) {
        let mut vectors = VectorsConfigBuilder::default();
        vectors.add_named_vector_params(VECTOR, VectorParamsBuilder::new(SIZE, Distance::Cosine));
        let create = CreateCollectionBuilder::new(&self.collection).vectors_config(vectors);
        self.client.create_collection(create).await.unwrap();
        let tenants = KeywordIndexParamsBuilder::default().is_tenant(true);
        let index = CreateFieldIndexCollectionBuilder::new(&self.collection, "tenant", FieldType::Keyword);
        let index = index.field_index_params(tenants).wait(true);
        self.client.create_field_index(index).await.unwrap();
    }

    pub fn upsert(&self, points: Vec<PointStruct>) -> UpsertPoints {
        UpsertPoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points,
            ..Default::default()
        }
    }

    /// Upserts and demands that it was applied.
    pub async fn write(&self, request: UpsertPoints) {
        let answer = self.client.upsert_points(request).await.unwrap();
        let result = answer.result.unwrap();
        assert_eq!(result.status(), UpdateStatus::Completed);
        assert!(result.operation_id.is_some());
    }

    pub async fn put(&self, points: Vec<PointStruct>) {
        self.write(self.upsert(points)).await;
    }

    pub async fn put_guarded(&self, points: Vec<PointStruct>, guard: Filter) {
        let mut request = self.upsert(points);
        request.update_filter = Some(guard);
        self.write(request).await;
    }

    pub async fn put_as(&self, mode: UpdateMode, points: Vec<PointStruct>) {
        let mut request = self.upsert(points);
        request.update_mode = Some(mode.into());
        self.write(request).await;
    }

    /// Lists everything that a filter matches.
    pub async fn all(&self, filter: Filter) -> Vec<RetrievedPoint> {
        let scroll = ScrollPointsBuilder::new(&self.collection).filter(filter);
        let scroll = scroll.limit(10_000).with_payload(true).with_vectors(true);
        self.client.scroll(scroll).await.unwrap().result
    }

    /// Returns the numbers of the points that a filter matches, in order.
    pub async fn numbers(&self, filter: Filter) -> Vec<u64> {
        use qdrant_client::qdrant::point_id::PointIdOptions;
        let ids = self.all(filter).await.into_iter().map(|point| point.id.unwrap());
        ids.map(|id| match id.point_id_options {
            Some(PointIdOptions::Num(number)) => number,
            other => panic!("not a number: {other:?}"),
        })
        .collect()
    }

    /// Returns the generation and version of the only point.
    pub async fn only_stamp(&self) -> (i64, i64) {
        let points = self.all(Filter::default()).await;
        assert_eq!(points.len(), 1);
        stamp_of(&points[0])
    }
}

pub fn stamp_of(point: &RetrievedPoint) -> (i64, i64) {
    (
        integer(&point.payload["generation"]),
        integer(&point.payload["version"]),
    )
}

fn integer(value: &Value) -> i64 {
    match value.kind {
        Some(Kind::IntegerValue(number)) => number,
        ref other => panic!("not an integer: {other:?}"),
    }
}

/// Makes a point with a payload and a vector.
pub fn point(id: impl Into<PointId>, vector: [f32; 4], payload: serde_json::Value) -> PointStruct {
    let vectors = NamedVectors::default().add_vector(VECTOR, vector.to_vec());
    PointStruct::new(id, vectors, Payload::try_from(payload).unwrap())
}

/// Makes a point as the projection writes it.
pub fn memory(id: impl Into<PointId>, tenant: &str, generation: i64, version: i64) -> PointStruct {
    let payload = json!({"tenant": tenant, "generation": generation, "version": version});
    point(id, [0.1, 0.2, 0.3, 0.4], payload)
}

/// Makes a marker: a point without any vector.
pub fn marker(id: impl Into<PointId>, tenant: &str, generation: i64, version: i64) -> PointStruct {
    PointStruct {
        vectors: None,
        ..memory(id, tenant, generation, version)
    }
}
