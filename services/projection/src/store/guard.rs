//! Rule R1 as a filter.

use qdrant_client::qdrant::{Condition, Filter, Range};

use super::Stamp;
use super::point::{GENERATION, TENANT, VERSION};
use crate::truth::Row;

/// Builds the `update_filter` of a batch: what stands there is of this tenant, and older.
///
/// Older is a smaller generation, or the same generation and a version below that of the row with the same id. Only the last
/// needs a clause for each row: a clause is short, for a batch has hundreds of them.
pub fn build_guard(rows: &[&Row], stamp: &Stamp<'_>) -> Filter {
    let versions = rows.iter().map(|row| {
        Condition::from(Filter::must([
            Condition::has_id([row.point_id.to_string()]),
            Condition::range(VERSION, below(row.version)),
        ]))
    });
    let same_generation = Filter {
        must: vec![Condition::matches(GENERATION, stamp.generation.0)],
        should: versions.collect(),
        ..Filter::default()
    };
    Filter {
        must: vec![Condition::matches(TENANT, stamp.tenant.as_str().to_owned())],
        should: vec![
            Condition::range(GENERATION, below(stamp.generation.0)),
            Condition::from(same_generation),
        ],
        ..Filter::default()
    }
}

/// Qdrant's ranges are f64: exact for versions and for generations of incarnations below 2^13.
#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "exact below 2^53, see above"
)]
fn below(bound: i64) -> Range {
    Range {
        lt: Some(bound as f64),
        ..Range::default()
    }
}
