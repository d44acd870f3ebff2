//! Calls that look points up, list them or count them.

use std::ops::Bound;

use qdrant_client::qdrant::{
    CountPoints, CountResponse, CountResult, GetPoints, GetResponse, ScrollPoints, ScrollResponse,
};

use super::{
    refuse_shard_keys,
    select::{Default as ByDefault, Selection},
};
use crate::{
    error::CallError,
    filter::Filter,
    store::{PointKey, Store},
};

/// Points on a page when a request does not say, as in Qdrant.
const PAGE: u32 = 10;

pub(crate) fn get(store: &Store, request: GetPoints) -> Result<GetResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    let collection = store.get(&request.collection_name)?;
    let (payload, vectors) = (request.with_payload, request.with_vectors);
    let parts = Selection::read(collection.schema(), payload, vectors, ByDefault::WithPayload)?;
    let keys = request.ids.into_iter().map(PointKey::try_from);
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let table = collection.read();
    let found = keys.into_iter().filter_map(|key| {
        let row = table.row(key)?;
        Some(parts.point(&table, row, table.entry(row)?))
    });
    Ok(GetResponse {
        result: found.collect(),
        ..Default::default()
    })
}

pub(crate) fn scroll(store: &Store, request: ScrollPoints) -> Result<ScrollResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    if request.order_by.is_some() {
        return Err(CallError::unsupported("scrolling in the order of a field"));
    }
    let limit = usize::try_from(request.limit.unwrap_or(PAGE)).unwrap_or(usize::MAX);
    if limit == 0 {
        return Err(CallError::wrong_input("limit: value 0 invalid, must be 1 or larger"));
    }
    let collection = store.get(&request.collection_name)?;
    let filter = Filter::compile(request.filter)?;
    let start = request.offset.map(PointKey::try_from).transpose()?;
    let start = start.map_or(Bound::Unbounded, Bound::Included);
    let (payload, vectors) = (request.with_payload, request.with_vectors);
    let parts = Selection::read(collection.schema(), payload, vectors, ByDefault::WithPayload)?;

    let table = collection.read();
    let candidates = table.candidates(&filter);
    let from_start = candidates.rows().range((start, Bound::Unbounded));
    let mut matching = from_start.filter(|(_, row)| table.matches(**row, &filter));
    let page = matching.by_ref().take(limit);
    let page = page.filter_map(|(_, row)| Some(parts.point(&table, *row, table.entry(*row)?)));
    Ok(ScrollResponse {
        result: page.collect(),
        next_page_offset: matching.next().map(|(key, _)| (*key).into()),
        ..Default::default()
    })
}

pub(crate) fn count(store: &Store, request: CountPoints) -> Result<CountResponse, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    let collection = store.get(&request.collection_name)?;
    let filter = Filter::compile(request.filter)?;
    let table = collection.read();
    let candidates = table.candidates(&filter);
    let rows = candidates.rows().values();
    let count = rows.filter(|row| table.matches(**row, &filter)).count();
    Ok(CountResponse {
        result: Some(CountResult {
            count: u64::try_from(count).unwrap_or(u64::MAX),
        }),
        ..Default::default()
    })
}
