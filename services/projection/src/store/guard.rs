//! Rule R1 as a filter.

use qdrant_client::qdrant::{Condition, Filter, Range};

use super::Stamp;
use super::point::{GENERATION, TENANT, VERSION};
use crate::truth::Row;

/// Builds the `update_filter` of a batch: one clause a row, or-ed.
///
/// A clause matches the existing point only if it is this row's, of this tenant, and older: of a smaller generation, or of
/// the same generation and a smaller version.
pub fn build_guard(rows: &[&Row], stamp: &Stamp<'_>) -> Filter {
    Filter::should(rows.iter().map(|row| Condition::from(build_clause(row, stamp))))
}

fn build_clause(row: &Row, stamp: &Stamp<'_>) -> Filter {
    let older = Filter::should([
        Condition::range(GENERATION, below(stamp.generation.0)),
        Condition::from(Filter::must([
            Condition::matches(GENERATION, stamp.generation.0),
            Condition::range(VERSION, below(row.version)),
        ])),
    ]);
    Filter::must([
        Condition::has_id([row.point_id.to_string()]),
        Condition::matches(TENANT, stamp.tenant.as_str().to_owned()),
        Condition::from(older),
    ])
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
