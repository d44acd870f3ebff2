//! From a request to the store and back: one function a call, in the order of reading.
//!
//! Functions here are synchronous and know nothing of connections, faults or keys; [`crate::rpc`] runs them on
//! a thread that may block. A field of a request that changes its meaning is obeyed or refused; fields that only
//! steer speed, consistency among replicas or timeouts have no meaning on a single exact server.

pub(crate) mod collections;
pub(crate) mod points;
pub(crate) mod query;
pub(crate) mod read;
mod select;

use qdrant_client::qdrant::{
    PointsOperationResponse, PointsSelector, ShardKeySelector, UpdateResult, UpdateStatus,
    points_selector::PointsSelectorOneOf,
};

use crate::{error::CallError, filter::Filter};

/// Builds the answer to a write. What was not waited for is only acknowledged, as Qdrant does.
fn written(operation: u64, wait: Option<bool>) -> PointsOperationResponse {
    let status = match wait {
        Some(true) => UpdateStatus::Completed,
        Some(false) | None => UpdateStatus::Acknowledged,
    };
    PointsOperationResponse {
        result: Some(UpdateResult {
            operation_id: Some(operation),
            status: status.into(),
        }),
        ..Default::default()
    }
}

/// Turns a choice of points into a filter.
fn selected(selector: Option<PointsSelector>) -> Result<Filter, CallError> {
    let choice = selector
        .and_then(|selector| selector.points_selector_one_of)
        .ok_or_else(|| CallError::wrong_input("PointsSelector is missing"))?;
    match choice {
        PointsSelectorOneOf::Points(list) => Filter::of_ids(list.ids),
        PointsSelectorOneOf::Filter(filter) => Filter::compile(Some(filter)),
    }
}

/// Refuses shard keys: this server has no custom sharding.
fn refuse_shard_keys(selector: Option<&ShardKeySelector>) -> Result<(), CallError> {
    match selector {
        None => Ok(()),
        Some(_) => Err(CallError::unsupported("a shard key")),
    }
}
