//! Calls about collections.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "all calls have the shape that `rpc` routes to, also those that need less"
)]

use std::collections::HashMap;

use qdrant_client::qdrant::{
    CollectionConfig, CollectionDescription, CollectionExists, CollectionExistsRequest, CollectionExistsResponse,
    CollectionInfo, CollectionOperationResponse, CollectionParams, CollectionStatus, CreateCollection,
    CreateFieldIndexCollection, DeleteCollection, DeleteFieldIndexCollection, FieldType, GetCollectionInfoRequest,
    GetCollectionInfoResponse, HealthCheckReply, HealthCheckRequest, ListCollectionsRequest, ListCollectionsResponse,
    OptimizerStatus, PayloadSchemaInfo, PayloadSchemaType, PointsOperationResponse,
};

use super::written;
use crate::{
    error::CallError,
    store::{CollectionRecord, Store, Table},
};

/// The version of Qdrant whose behaviour is imitated; clients compare it with their own.
const VERSION: &str = "1.19.0";

pub(crate) fn health(_: &Store, _: HealthCheckRequest) -> Result<HealthCheckReply, CallError> {
    Ok(HealthCheckReply {
        title: "aeterna-vectorstore, a stand-in for Qdrant".to_owned(),
        version: VERSION.to_owned(),
        commit: None,
    })
}

pub(crate) fn create(store: &Store, request: CreateCollection) -> Result<CollectionOperationResponse, CallError> {
    store.create(request)?;
    Ok(done(true))
}

pub(crate) fn delete(store: &Store, request: DeleteCollection) -> Result<CollectionOperationResponse, CallError> {
    store.delete(&request.collection_name).map(done)
}

fn done(result: bool) -> CollectionOperationResponse {
    CollectionOperationResponse { result, time: 0.0 }
}

pub(crate) fn list(store: &Store, _: ListCollectionsRequest) -> Result<ListCollectionsResponse, CallError> {
    let names = store.names().into_iter();
    Ok(ListCollectionsResponse {
        collections: names.map(|name| CollectionDescription { name }).collect(),
        time: 0.0,
    })
}

pub(crate) fn exists(store: &Store, request: CollectionExistsRequest) -> Result<CollectionExistsResponse, CallError> {
    let exists = store.get(&request.collection_name).is_ok();
    Ok(CollectionExistsResponse {
        result: Some(CollectionExists { exists }),
        time: 0.0,
    })
}

pub(crate) fn info(store: &Store, request: GetCollectionInfoRequest) -> Result<GetCollectionInfoResponse, CallError> {
    let collection = store.get(&request.collection_name)?;
    let record = collection.record();
    let table = collection.read();
    let columns = 0..collection.schema().vectors().len();
    let vectors: usize = columns
        .filter_map(|number| table.column(number))
        .map(crate::store::Column::count)
        .sum();
    let info = CollectionInfo {
        status: CollectionStatus::Green.into(),
        optimizer_status: Some(OptimizerStatus {
            ok: true,
            error: String::new(),
        }),
        segments_count: 1,
        payload_schema: payload_schema(&record, &table),
        config: Some(config(record)),
        points_count: Some(count(table.len())),
        indexed_vectors_count: Some(count(vectors)),
        ..Default::default()
    };
    Ok(GetCollectionInfoResponse {
        result: Some(info),
        time: 0.0,
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn config(record: CollectionRecord) -> CollectionConfig {
    let create = record.create.unwrap_or_default();
    CollectionConfig {
        params: Some(CollectionParams {
            shard_number: 1,
            vectors_config: create.vectors_config,
            replication_factor: Some(1),
            write_consistency_factor: Some(1),
            ..Default::default()
        }),
        hnsw_config: create.hnsw_config,
        optimizer_config: create.optimizers_config,
        wal_config: create.wal_config,
        quantization_config: create.quantization_config,
        metadata: create.metadata,
        ..Default::default()
    }
}

fn payload_schema(record: &CollectionRecord, table: &Table) -> HashMap<String, PayloadSchemaInfo> {
    let indexes = record.indexes.iter().map(|index| {
        let info = PayloadSchemaInfo {
            data_type: schema_type(index.field_type()).into(),
            params: index.field_index_params.clone(),
            points: table.index(&index.field_name).map(|index| count(index.count())),
        };
        (index.field_name.clone(), info)
    });
    indexes.collect()
}

fn schema_type(field: FieldType) -> PayloadSchemaType {
    match field {
        FieldType::Keyword => PayloadSchemaType::Keyword,
        FieldType::Integer => PayloadSchemaType::Integer,
        FieldType::Float => PayloadSchemaType::Float,
        FieldType::Geo => PayloadSchemaType::Geo,
        FieldType::Text => PayloadSchemaType::Text,
        FieldType::Bool => PayloadSchemaType::Bool,
        FieldType::Datetime => PayloadSchemaType::Datetime,
        FieldType::Uuid => PayloadSchemaType::Uuid,
    }
}

pub(crate) fn create_index(
    store: &Store,
    request: CreateFieldIndexCollection,
) -> Result<PointsOperationResponse, CallError> {
    let wait = request.wait;
    let operation = store.add_index(request)?;
    Ok(written(operation, wait))
}

pub(crate) fn delete_index(
    store: &Store,
    request: DeleteFieldIndexCollection,
) -> Result<PointsOperationResponse, CallError> {
    let operation = store.drop_index(&request.collection_name, &request.field_name)?;
    Ok(written(operation, request.wait))
}
