//! What is on disk: the log of truth, in an embedded key-value store.
//!
//! One keyspace lists the collections, one keyspace a collection holds its points. A change is written here
//! before it is made in memory, as one batch that is handed to the operating system before it counts: it
//! outlives the process (`kill -9`), not the machine.

use std::{collections::HashSet, path::Path};

use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::CompressionPolicy};
use prost::Message;
use qdrant_client::qdrant::{CreateCollection, CreateFieldIndexCollection, Value};

use super::{PointKey, schema::Schema, table::Point};
use crate::error::DiskError;

/// The record of a collection.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionRecord {
    /// Names the keyspace of the points; never used twice, as names of collections are.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// The request that made the collection.
    #[prost(message, optional, tag = "2")]
    pub(crate) create: Option<CreateCollection>,
    /// The requests that made its payload indexes.
    #[prost(message, repeated, tag = "3")]
    pub(crate) indexes: Vec<CreateFieldIndexCollection>,
}

#[derive(Clone, PartialEq, Message)]
struct PointRecord {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(map = "string, message", tag = "2")]
    payload: std::collections::HashMap<String, Value>,
    #[prost(message, repeated, tag = "3")]
    vectors: Vec<VectorRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct VectorRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, repeated, tag = "2")]
    values: Vec<f32>,
}

/// The open database.
pub(crate) struct Disk {
    database: Database,
    collections: Keyspace,
}

/// The points of one collection on disk.
pub(crate) struct PointsOnDisk {
    database: Database,
    keyspace: Keyspace,
}

fn uncompressed() -> KeyspaceCreateOptions {
    // Vectors do not shrink; compressing them would only cost time.
    KeyspaceCreateOptions::default()
        .data_block_compression_policy(CompressionPolicy::disabled())
        .max_memtable_size(32 << 20)
}

impl Disk {
    /// Opens or makes the database in a directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, DiskError> {
        let database = Database::builder(dir)
            .journal_compression(CompressionType::None)
            .open()?;
        let collections = database.keyspace("collections", KeyspaceCreateOptions::default)?;
        Ok(Self { database, collections })
    }

    /// Reads the records of all collections.
    pub(crate) fn read_collections(&self) -> Result<Vec<CollectionRecord>, DiskError> {
        let values = self.collections.iter().map(fjall::Guard::value);
        values.map(|value| Ok(CollectionRecord::decode(&*value?)?)).collect()
    }

    /// Writes the record of a collection.
    pub(crate) fn write_collection(&self, record: &CollectionRecord) -> Result<(), DiskError> {
        let key = record.number.to_be_bytes();
        Ok(self.collections.insert(key, record.encode_to_vec())?)
    }

    /// Removes a collection: its record first, so that half a removal is a removal.
    pub(crate) fn remove_collection(&self, number: u64) -> Result<(), DiskError> {
        self.collections.remove(number.to_be_bytes())?;
        let points = self.database.keyspace(&points_of(number), uncompressed)?;
        Ok(self.database.delete_keyspace(points)?)
    }

    /// Removes the points of collections that are no more, left by a kill between the two halves of a removal.
    pub(crate) fn remove_orphans(&self, known: &[CollectionRecord]) -> Result<(), DiskError> {
        let kept: HashSet<_> = known.iter().map(|record| points_of(record.number)).collect();
        for name in self.database.list_keyspace_names() {
            if name.starts_with(POINTS) && !kept.contains(&*name) {
                let points = self.database.keyspace(&name, uncompressed)?;
                self.database.delete_keyspace(points)?;
            }
        }
        Ok(())
    }

    /// Opens the points of a collection.
    pub(crate) fn points(&self, number: u64) -> Result<PointsOnDisk, DiskError> {
        Ok(PointsOnDisk {
            database: self.database.clone(),
            keyspace: self.database.keyspace(&points_of(number), uncompressed)?,
        })
    }
}

/// What the names of the keyspaces of points begin with.
const POINTS: &str = "points-";

fn points_of(number: u64) -> String {
    format!("{POINTS}{number}")
}

impl PointsOnDisk {
    /// Reads every point.
    pub(crate) fn read(&self, schema: &Schema, mut visitor: impl FnMut(PointKey, Point)) -> Result<(), DiskError> {
        for item in self.keyspace.iter() {
            let (key, value) = item.into_inner()?;
            let key = PointKey::from_bytes(&key).ok_or(DiskError::Key)?;
            visitor(key, decode(schema, &value)?);
        }
        Ok(())
    }

    /// Writes and removes points as one change.
    pub(crate) fn commit<'a>(
        &self,
        schema: &Schema,
        written: impl Iterator<Item = (PointKey, &'a mut Point)>,
        removed: &[PointKey],
    ) -> Result<(), DiskError> {
        // Also fjall's default, but what is promised for `kill -9` rests on it: handed to the operating system.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for (key, point) in written {
            batch.insert(&self.keyspace, key.to_bytes(), encode(schema, point));
        }
        for key in removed {
            batch.remove(&self.keyspace, key.to_bytes());
        }
        Ok(batch.commit()?)
    }
}

/// Encodes a point. It is borrowed for writing only to lend its parts to the record without copying them.
fn encode(schema: &Schema, point: &mut Point) -> Vec<u8> {
    let names = schema.vectors();
    let vectors = point.vectors.iter_mut().filter_map(|(column, values)| {
        Some(VectorRecord {
            name: names.get(*column)?.name.clone(),
            values: std::mem::take(values),
        })
    });
    let record = PointRecord {
        version: point.version,
        vectors: vectors.collect(),
        payload: std::mem::take(&mut point.payload),
    };
    let bytes = record.encode_to_vec();
    point.payload = record.payload;
    for ((_, place), vector) in point.vectors.iter_mut().zip(record.vectors) {
        *place = vector.values;
    }
    bytes
}

fn decode(schema: &Schema, bytes: &[u8]) -> Result<Point, DiskError> {
    let record = PointRecord::decode(bytes)?;
    let vectors = record.vectors.into_iter().map(|vector| {
        let (column, spec) = schema.find(&vector.name).ok_or(DiskError::Shape)?;
        if vector.values.len() != spec.size {
            return Err(DiskError::Shape);
        }
        Ok((column, vector.values))
    });
    Ok(Point {
        version: record.version,
        vectors: vectors.collect::<Result<_, _>>()?,
        payload: record.payload,
    })
}
