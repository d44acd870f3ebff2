//! Calls that change points.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    DeletePoints, PointStruct, PointsOperationResponse, SetPayloadPoints, UpdateMode, UpsertPoints, Vector, Vectors,
    vector::Vector as Kind, vectors::VectorsOptions,
};

use super::{refuse_shard_keys, selected, written};
use crate::{
    error::CallError,
    filter::Filter,
    store::{Point, PointKey, Schema, Store},
};

pub(crate) fn upsert(store: &Store, request: UpsertPoints) -> Result<PointsOperationResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    let collection = store.get(&request.collection_name)?;
    let mode = request.update_mode.unwrap_or_default();
    let mode =
        UpdateMode::try_from(mode).map_err(|_| CallError::wrong_input(format!("Malformed update mode: {mode}")))?;
    let guard = Filter::compile(request.update_filter)?;
    let read = |point| read_point(collection.schema(), point);
    let points = request.points.into_iter().map(read).collect::<Result<_, _>>()?;
    let operation = collection.upsert(points, &guard, mode)?;
    Ok(written(operation, request.wait))
}

pub(crate) fn delete(store: &Store, request: DeletePoints) -> Result<PointsOperationResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    let collection = store.get(&request.collection_name)?;
    let operation = collection.delete(&selected(request.points)?)?;
    Ok(written(operation, request.wait))
}

pub(crate) fn set_payload(store: &Store, request: SetPayloadPoints) -> Result<PointsOperationResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    if request.key.is_some() {
        return Err(CallError::unsupported("setting a part of a payload by key"));
    }
    let collection = store.get(&request.collection_name)?;
    let filter = selected(request.points_selector)?;
    let operation = collection.edit_payload(&filter, |payload| {
        payload.extend(request.payload.iter().map(|(key, value)| (key.clone(), value.clone())));
    })?;
    Ok(written(operation, request.wait))
}

fn read_point(schema: &Schema, point: PointStruct) -> Result<(PointKey, Point), CallError> {
    let key = PointKey::required(point.id)?;
    let named = match point.vectors.and_then(|vectors: Vectors| vectors.vectors_options) {
        None => HashMap::new(),
        Some(VectorsOptions::Vector(vector)) => HashMap::from([(String::new(), vector)]),
        Some(VectorsOptions::Vectors(named)) => named.vectors,
    };
    let vectors = named
        .into_iter()
        .map(|(name, vector)| read_vector(schema, &name, vector))
        .collect::<Result<_, _>>()?;
    let point = Point {
        version: 0,
        payload: point.payload,
        vectors,
    };
    Ok((key, point))
}

fn read_vector(schema: &Schema, name: &str, vector: Vector) -> Result<(usize, Vec<f32>), CallError> {
    let (column, spec) = schema.get(name)?;
    let values = read_dense(vector)?;
    if values.len() != spec.size {
        let place = if name.is_empty() {
            String::new()
        } else {
            format!(" for vector '{name}'")
        };
        return Err(CallError::Dimension {
            expected: spec.size,
            got: values.len(),
            place,
        });
    }
    Ok((column, spec.metric.prepare(values)))
}

#[expect(deprecated, reason = "older clients send vectors in the deprecated fields only")]
fn read_dense(vector: Vector) -> Result<Vec<f32>, CallError> {
    if vector.indices.is_some() || vector.vectors_count.is_some_and(|count| count > 1) {
        return Err(CallError::unsupported("a sparse or multi vector"));
    }
    match vector.vector {
        None => Ok(vector.data),
        Some(Kind::Dense(dense)) => Ok(dense.data),
        Some(Kind::Sparse(_) | Kind::MultiDense(_)) => Err(CallError::unsupported("a sparse or multi vector")),
        Some(Kind::Document(_) | Kind::Image(_) | Kind::Object(_)) => Err(CallError::unsupported("inference")),
    }
}
