//! Which collection a request is about, for the faults that aim at one.

use qdrant_client::qdrant::{
    CollectionExistsRequest, CountPoints, CreateCollection, CreateFieldIndexCollection, DeleteCollection,
    DeleteFieldIndexCollection, DeletePoints, GetCollectionInfoRequest, GetPoints, HealthCheckRequest,
    ListCollectionsRequest, QueryBatchPoints, QueryPoints, ScrollPoints, SetPayloadPoints, UpsertPoints,
};

/// A request that names a collection, or is about none.
pub(crate) trait Named {
    /// Returns the name; empty if the request is about no collection.
    fn collection(&self) -> &str;
}

macro_rules! named {
    ($($message:ty),+) => {
        $(impl Named for $message {
            fn collection(&self) -> &str {
                &self.collection_name
            }
        })+
    };
}

named!(
    CollectionExistsRequest,
    CountPoints,
    CreateCollection,
    CreateFieldIndexCollection,
    DeleteCollection,
    DeleteFieldIndexCollection,
    DeletePoints,
    GetCollectionInfoRequest,
    GetPoints,
    QueryBatchPoints,
    QueryPoints,
    ScrollPoints,
    SetPayloadPoints,
    UpsertPoints
);

impl Named for HealthCheckRequest {
    fn collection(&self) -> &'static str {
        ""
    }
}

impl Named for ListCollectionsRequest {
    fn collection(&self) -> &'static str {
        ""
    }
}
