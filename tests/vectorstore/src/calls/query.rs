//! Searches: the points nearest to a vector, exactly.
//!
//! Every candidate is compared with the query. The filter is only asked about points that would make it into
//! the result: comparing is a few vector instructions, judging a filter is many look-ups, and after a few
//! hundred points hardly any is good enough to be asked about.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use qdrant_client::qdrant::{
    BatchResult, QueryBatchPoints, QueryBatchResponse, QueryPoints, QueryResponse, ScoredPoint, query::Variant,
    vector_input::Variant as Input,
};

use super::{
    refuse_shard_keys,
    select::{Default as ByDefault, Selection},
};
use crate::{
    error::CallError,
    filter::Filter,
    store::{Candidates, Collection, Column, Metric, PointKey, Store, Table},
};

/// Hits when a request does not say, as in Qdrant.
const HITS: u64 = 10;

pub(crate) fn query(store: &Store, request: QueryPoints) -> Result<QueryResponse, CallError> {
    let collection = store.get(&request.collection_name)?;
    Ok(QueryResponse {
        result: search(&collection, request)?,
        ..Default::default()
    })
}

pub(crate) fn query_batch(store: &Store, request: QueryBatchPoints) -> Result<QueryBatchResponse, CallError> {
    let collection = store.get(&request.collection_name)?;
    let results = request.query_points.into_iter().map(|one| {
        let result = search(&collection, one)?;
        Ok(BatchResult { result })
    });
    Ok(QueryBatchResponse {
        result: results.collect::<Result<_, CallError>>()?,
        ..Default::default()
    })
}

fn search(collection: &Collection, request: QueryPoints) -> Result<Vec<ScoredPoint>, CallError> {
    refuse_shard_keys(request.shard_key_selector.as_ref())?;
    if !request.prefetch.is_empty() || request.lookup_from.is_some() {
        return Err(CallError::unsupported("a query with prefetch or lookup"));
    }
    let vector = match request.query.and_then(|query| query.variant) {
        Some(Variant::Nearest(nearest)) => match nearest.variant {
            Some(Input::Dense(dense)) => dense.data,
            _ => {
                return Err(CallError::unsupported("a query by anything but a dense vector"));
            }
        },
        _ => {
            return Err(CallError::unsupported("a query for anything but the nearest points"));
        }
    };
    let (column, spec) = collection.schema().get(&request.using.unwrap_or_default())?;
    if vector.len() != spec.size {
        return Err(CallError::Dimension {
            expected: spec.size,
            got: vector.len(),
            place: String::new(),
        });
    }
    let (payload, vectors) = (request.with_payload, request.with_vectors);
    let parts = Selection::read(collection.schema(), payload, vectors, ByDefault::WithoutPayload)?;
    let nearest = Nearest {
        metric: spec.metric,
        query: spec.metric.prepare(vector),
        filter: Filter::compile(request.filter)?,
        threshold: request.score_threshold,
    };
    let limit = request.limit.unwrap_or(HITS);
    if limit == 0 {
        return Err(CallError::wrong_input("limit: value 0 invalid, must be 1 or larger"));
    }
    let skip = usize::try_from(request.offset.unwrap_or_default()).unwrap_or(usize::MAX);
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(skip);

    let table = collection.read();
    let hits = nearest.find(&table, column, most).into_iter().skip(skip);
    Ok(hits.filter_map(|hit| scored(&table, &parts, &nearest, &hit)).collect())
}

fn scored(table: &Table, parts: &Selection, of: &Nearest, hit: &Hit) -> Option<ScoredPoint> {
    let entry = table.entry(hit.row)?;
    let point = parts.point(table, hit.row, entry);
    Some(ScoredPoint {
        id: point.id,
        payload: point.payload,
        vectors: point.vectors,
        score: of.metric.score(hit.rank),
        version: entry.version,
        ..Default::default()
    })
}

struct Nearest {
    metric: Metric,
    query: Vec<f32>,
    filter: Filter,
    threshold: Option<f32>,
}

/// A point of the result; the greatest is the nearest, and of two equally near ones that with the smaller id.
#[derive(Debug, Clone, Copy)]
struct Hit {
    rank: f32,
    key: Reverse<PointKey>,
    row: usize,
}

impl Nearest {
    fn find(&self, table: &Table, column: usize, most: usize) -> Vec<Hit> {
        let Some(vectors) = table.column(column) else {
            return Vec::new();
        };
        let mut best = BinaryHeap::new();
        let mut look = |row| self.look(table, vectors, row, most, &mut best);
        match table.candidates(&self.filter) {
            // In the order of memory, which is that of the rows.
            Candidates::All(_) => (0..table.entries().len()).for_each(&mut look),
            Candidates::Some(rows) => rows.values().copied().for_each(&mut look),
            Candidates::Ids(rows) => rows.into_values().for_each(&mut look),
        }
        let sorted = best.into_sorted_vec();
        sorted.into_iter().map(|Reverse(hit)| hit).collect()
    }

    fn look(&self, table: &Table, vectors: &Column, row: usize, most: usize, best: &mut BinaryHeap<Reverse<Hit>>) {
        let Some(vector) = vectors.get(row) else {
            return;
        };
        let rank = self.metric.rank(&self.query, vector);
        let worst = best.peek().filter(|_| best.len() >= most);
        if worst.is_some_and(|Reverse(worst)| rank < worst.rank) {
            return;
        }
        if let Some(threshold) = self.threshold
            && !self.metric.passes(self.metric.score(rank), threshold)
        {
            return;
        }
        let Some(entry) = table.entry(row) else {
            return;
        };
        if !table.matches(row, &self.filter) {
            return;
        }
        let key = Reverse(entry.key);
        best.push(Reverse(Hit { rank, key, row }));
        if best.len() > most {
            best.pop();
        }
    }
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}
