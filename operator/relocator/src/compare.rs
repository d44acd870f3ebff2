//! Compares truth and projection point by point, both ways, and repairs.
//!
//! Rows and points are read in ranges of point ids and merged. What differs is read again before it counts: a writer may
//! have been between the two reads. Repairs obey rule R1, so a comparison that is late repairs nothing newer than it saw.

use std::collections::BTreeMap;

use sqlx::PgPool;
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::hex::hex;
use aeterna_projection::store::{Found, Stamp, Store};
use aeterna_projection::truth::{self, Kind, Row, State, WriteItem};
use aeterna_tenancy::Generation;
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::moves::Snapshot;
use aeterna_tenancy::routes::{self, Route};
use aeterna_tenancy::shards::Shard;
use aeterna_tenancy::verifications::Findings;

use crate::{Error, Result};

/// Points of a range.
const PAGE: u32 = 500;

/// Largest difference of a coordinate between a row's normalised embedding and a point's: f32 rounding, and stores that
/// keep vectors as f16.
const TOLERANCE: f32 = 1e-3;

/// Which differences are somebody else's business because they are newer than the comparison.
#[derive(Debug, Clone, Copy)]
pub enum Newer<'a> {
    /// A move: rows whose last change its watermark does not see belong to CatchUp.
    Since(&'a Snapshot),
    /// The live projection that this route names: rows with an unconfirmed outbox row belong to their writer or the relay.
    Unconfirmed(&'a Route),
}

/// What to compare.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The truth.
    pub pool: &'a PgPool,
    /// The projection's store.
    pub store: &'a Store,
    /// The tenant.
    pub scope: &'a TenantScope,
    /// The projection's shard.
    pub shard: &'a Shard,
    /// Points below this generation are another projection's.
    pub floor: Generation,
    /// Repairs are stamped with this generation.
    pub generation: Generation,
    /// What to leave alone.
    pub newer: Newer<'a>,
}

/// Compares the range behind `after`, and returns where the next one begins; `None` at the end.
///
/// # Errors
/// Whatever the truth or the store answers, [`Error::Unrepairable`], and [`Error::Moved`] for a live projection that the route no longer names.
pub async fn compare_page(this: &Comparison<'_>, after: Option<Uuid>, findings: &mut Findings) -> Result<Option<Uuid>> {
    let collection = &this.shard.collection;
    let mut points = this
        .store
        .scan(collection, this.scope.tenant(), this.floor, after, PAGE)
        .await?;
    let full = |len: usize| u32::try_from(len).is_ok_and(|len| len >= PAGE);
    let mut upto = if full(points.len()) {
        points.last().map(|point| point.point_id)
    } else {
        None
    };
    let range = truth::Range {
        after,
        upto,
        limit: i64::from(PAGE),
    };
    let rows = truth::read_range(this.pool, this.scope, range).await?;
    if full(rows.len()) {
        // More rows than fit: the range ends at the last one.
        let last = rows.last().map(|row| row.point_id);
        upto = match (upto, last) {
            (Some(points), Some(rows)) => Some(points.min(rows)),
            (None, rows) => rows,
            (points, None) => points,
        };
        points.retain(|point| upto.is_none_or(|upto| point.point_id <= upto));
    }
    let differing = merge(&rows, &points, findings);
    if !differing.is_empty() {
        settle(this, &differing, findings).await?;
    }
    Ok(upto)
}

/// Merges a range and returns the points whose row and point differ.
fn merge(rows: &[Row], points: &[Found], findings: &mut Findings) -> Vec<Uuid> {
    let mut pairs: BTreeMap<Uuid, (Option<&Row>, Option<&Found>)> = BTreeMap::new();
    for row in rows {
        pairs.entry(row.point_id).or_default().0 = Some(row);
    }
    for point in points {
        pairs.entry(point.point_id).or_default().1 = Some(point);
    }
    let mut differing = Vec::new();
    for (point_id, (row, point)) in pairs {
        if row.is_some_and(|row| row.state == State::Live) || point.is_some_and(|point| !point.deleted) {
            findings.compared += 1;
        }
        if judge(row, point) != Verdict::Equal {
            differing.push(point_id);
        }
    }
    differing
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Equal,
    Missing,
    Stale,
    Orphaned,
}

fn judge(row: Option<&Row>, point: Option<&Found>) -> Verdict {
    match (row, point) {
        (None, None) => Verdict::Equal,
        (None, Some(point)) => {
            if point.deleted {
                Verdict::Equal
            } else {
                Verdict::Orphaned
            }
        }
        (Some(row), None) => match row.state {
            State::Live => Verdict::Missing,
            // A tombstone needs no marker in a projection that never held the memory.
            State::Deleted => Verdict::Equal,
        },
        (Some(row), Some(point)) => {
            let same = match row.state {
                State::Deleted => point.deleted,
                State::Live => {
                    !point.deleted
                        && point.version == row.version
                        && point.hash.as_deref() == Some(hex(&row.content_hash).as_str())
                        && point
                            .vector
                            .as_deref()
                            .is_some_and(|found| is_close(found, &row.embedding))
                }
            };
            if same { Verdict::Equal } else { Verdict::Stale }
        }
    }
}

/// Tells whether a stored vector is the embedding, normalised as stores with cosine distance do.
fn is_close(found: &[f32], embedding: &[f32]) -> bool {
    let length = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    let scale = if length > 0.0 { length.recip() } else { 1.0 };
    found.len() == embedding.len()
        && found
            .iter()
            .zip(embedding)
            .all(|(found, wanted)| (found - wanted * scale).abs() <= TOLERANCE)
}

/// Reads what differs once more, leaves alone what is newer, counts and repairs the rest.
///
/// The truth is read before and after the points: a row that both reads show alike, and that was settled at the first, was
/// what its point had to be in between.
async fn settle(this: &Comparison<'_>, differing: &[Uuid], findings: &mut Findings) -> Result<()> {
    let unsettled = match this.newer {
        Newer::Since(since) => truth::Unsettled::Since(since.clone()),
        Newer::Unconfirmed(_) => truth::Unsettled::Unconfirmed,
    };
    let (before, unsettled) = truth::read_points(this.pool, this.scope, differing, &unsettled).await?;
    let points = this
        .store
        .fetch(&this.shard.collection, differing, REQUEST_DEADLINE)
        .await?;
    let (after, _) = truth::read_points(this.pool, this.scope, differing, &truth::Unsettled::Nothing).await?;
    let version = |rows: &[Row], id: Uuid| rows.iter().find(|row| row.point_id == id).map(|row| row.version);
    let mut older = Vec::new();
    for point_id in differing.iter().copied() {
        if unsettled.contains(&point_id) || version(&before, point_id) != version(&after, point_id) {
            continue;
        }
        let row = after.iter().find(|row| row.point_id == point_id);
        let point = points.iter().find(|point| point.point_id == point_id);
        if point.is_some_and(|point| is_foreign(this.scope, point)) {
            findings.foreign += 1;
            return Err(this.unrepairable(point_id, "another tenant".to_owned()));
        }
        // A point of an earlier projection is not this one's.
        let point = point.filter(|point| point.generation >= this.floor.0);
        match judge(row, point) {
            Verdict::Equal => continue,
            Verdict::Missing => findings.missing += 1,
            Verdict::Stale => findings.stale += 1,
            Verdict::Orphaned => findings.orphaned += 1,
        }
        older.push(match row {
            Some(row) if !point.is_some_and(|point| this.resists(row, point)) => row.clone(),
            Some(_) => rewrite(this, Kind::Renew, point_id).await?,
            None => rewrite(this, Kind::Orphan, point_id).await?,
        });
    }
    repair(this, &older).await?;
    findings.repaired += i64::try_from(older.len()).unwrap_or(i64::MAX);
    Ok(())
}

/// Tells whether a point carries another tenant, or none.
fn is_foreign(scope: &TenantScope, point: &Found) -> bool {
    point.tenant.as_deref() != Some(scope.tenant().as_str())
}

async fn repair(this: &Comparison<'_>, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    this.require_standing().await?;
    let stamp = Stamp {
        tenant: this.scope.tenant(),
        generation: this.generation,
    };
    this.store
        .upsert(&this.shard.collection, stamp, rows, REQUEST_DEADLINE)
        .await?;
    let points: Vec<Uuid> = rows.iter().map(|row| row.point_id).collect();
    let found = this
        .store
        .fetch(&this.shard.collection, &points, REQUEST_DEADLINE)
        .await?;
    for row in rows {
        let point = found.iter().find(|point| point.point_id == row.point_id);
        // A writer may have been faster: then the point is newer, and right.
        let overtaken = point.is_some_and(|point| point.version > row.version && point.generation <= this.generation.0);
        if judge(Some(row), point) != Verdict::Equal && !overtaken {
            let holder = point.map_or("nobody".to_owned(), |point| {
                format!("version {} of generation {}", point.version, point.generation)
            });
            return Err(this.unrepairable(row.point_id, holder));
        }
    }
    Ok(())
}

/// Gives a point's row a new version, or a point without a row its tombstone, through the write function, which alone
/// hands out versions.
async fn rewrite(this: &Comparison<'_>, kind: Kind, point: Uuid) -> Result<Row> {
    let item = WriteItem::bare(kind, point);
    truth::write(this.pool, this.scope, &this.shard.model, &[item], REQUEST_DEADLINE).await?;
    let (rows, _) = truth::read_points(this.pool, this.scope, &[point], &truth::Unsettled::Nothing).await?;
    rows.into_iter()
        .next()
        .ok_or_else(|| this.unrepairable(point, "an id that has no row and takes no tombstone".to_owned()))
}

impl Comparison<'_> {
    /// Tells whether rule R1 keeps the row from overwriting the point: it has this generation and the row's version already.
    fn resists(&self, row: &Row, point: &Found) -> bool {
        point.generation == self.generation.0 && point.version >= row.version
    }

    /// Refuses to repair a live projection that the route no longer names: Clean may have removed it, and runs its last
    /// time longer after the flip than a request lasts.
    async fn require_standing(&self) -> Result<()> {
        let Newer::Unconfirmed(route) = self.newer else {
            return Ok(());
        };
        let now = routes::fetch_route(self.pool, self.scope.tenant()).await?;
        let stands = now.is_some_and(|now| (&now.shard_id, now.generation) == (&route.shard_id, route.generation));
        if stands {
            Ok(())
        } else {
            Err(Error::Moved {
                tenant: route.tenant_id.clone(),
            })
        }
    }

    fn unrepairable(&self, point: Uuid, holder: String) -> Error {
        Error::Unrepairable {
            point,
            shard: self.shard.shard_id.to_string(),
            holder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State) -> Row {
        Row {
            point_id: Uuid::from_u128(7),
            id: Uuid::from_u128(8),
            version: 3,
            state,
            layer: "user".to_owned(),
            identifiers: serde_json::Value::Null,
            tags: Vec::new(),
            content_hash: vec![0xab],
            embedding: vec![3.0, 4.0],
        }
    }

    fn point() -> Found {
        Found {
            point_id: Uuid::from_u128(7),
            tenant: Some("acme".to_owned()),
            generation: 1,
            version: 3,
            hash: Some("ab".to_owned()),
            deleted: false,
            vector: Some(vec![0.6, 0.8]),
        }
    }

    #[test]
    fn a_normalised_vector_equals_its_embedding() {
        assert_eq!(judge(Some(&row(State::Live)), Some(&point())), Verdict::Equal);
    }

    #[test]
    fn another_version_hash_or_vector_is_stale() {
        let live = row(State::Live);
        assert_eq!(
            judge(Some(&live), Some(&Found { version: 2, ..point() })),
            Verdict::Stale
        );
        assert_eq!(
            judge(Some(&live), Some(&Found { hash: None, ..point() })),
            Verdict::Stale
        );
        assert_eq!(
            judge(
                Some(&live),
                Some(&Found {
                    vector: Some(vec![0.8, 0.6]),
                    ..point()
                })
            ),
            Verdict::Stale
        );
        assert_eq!(
            judge(
                Some(&live),
                Some(&Found {
                    deleted: true,
                    ..point()
                })
            ),
            Verdict::Stale
        );
    }

    #[test]
    fn a_deleted_memory_with_a_live_point_is_stale_and_without_one_is_right() {
        assert_eq!(judge(Some(&row(State::Deleted)), Some(&point())), Verdict::Stale);
        assert_eq!(judge(Some(&row(State::Deleted)), None), Verdict::Equal);
    }

    #[test]
    fn a_point_without_a_row_is_an_orphan_unless_it_is_a_marker() {
        assert_eq!(judge(None, Some(&point())), Verdict::Orphaned);
        assert_eq!(
            judge(
                None,
                Some(&Found {
                    deleted: true,
                    ..point()
                })
            ),
            Verdict::Equal
        );
    }
}
