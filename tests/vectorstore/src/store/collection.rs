//! One collection: who may change it when.
//!
//! Writers take turns ([`Collection::writer`]): one of them judges its guard, writes the log and only then takes
//! the table for writing, for as long as it takes to copy the points in. Reads share the table and never wait
//! for the disk.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use qdrant_client::qdrant::{CreateFieldIndexCollection, FieldType, UpdateMode};

use super::{
    PointKey,
    disk::{CollectionRecord, PointsOnDisk},
    schema::Schema,
    table::{Point, Table},
};
use crate::{
    error::{CallError, DiskError},
    filter::{Filter, Path},
};

/// A collection, open.
pub(crate) struct Collection {
    schema: Schema,
    points: PointsOnDisk,
    table: RwLock<Table>,
    /// The number of the next operation; holding it is the turn to write.
    writer: Mutex<u64>,
    record: RwLock<CollectionRecord>,
}

impl Collection {
    /// Opens a collection and reads its points.
    pub(crate) fn open(record: CollectionRecord, points: PointsOnDisk) -> Result<Self, DiskError> {
        let create = record.create.clone().unwrap_or_default();
        let schema = Schema::read(&create).map_err(|_| DiskError::Shape)?;
        let mut table = Table::new(schema.clone());
        let mut newest = 0;
        points.read(&schema, |key, point| {
            newest = newest.max(point.version);
            table.put(key, point);
        })?;
        for index in record.indexes.iter().filter(|index| is_keyword(index)) {
            let path = Path::parse(&index.field_name).map_err(|_| DiskError::Shape)?;
            table.add_index(&index.field_name, path);
        }
        Ok(Self {
            schema,
            points,
            table: RwLock::new(table),
            writer: Mutex::new(newest + 1),
            record: RwLock::new(record),
        })
    }

    /// Returns the vectors that this collection has.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns the record that is on disk.
    pub(crate) fn record(&self) -> CollectionRecord {
        self.record.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the points for reading.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn to write: gives the operation its number and lets it choose its changes.
    fn change(
        &self,
        choose: impl FnOnce(&Table, u64) -> (HashMap<PointKey, Point>, Vec<PointKey>),
    ) -> Result<u64, CallError> {
        let mut turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let operation = *turn;
        let (mut written, removed) = choose(&self.read(), operation);
        let records = written.iter_mut().map(|(key, point)| (*key, point));
        self.points.commit(&self.schema, records, &removed)?;
        let mut table = self.write();
        for (key, point) in written {
            table.put(key, point);
        }
        for key in removed {
            table.remove(key);
        }
        *turn += 1;
        Ok(operation)
    }

    /// Writes points. Those that exist must match the guard; it is judged on the state before this call. Of
    /// several points with one id the last one counts.
    pub(crate) fn upsert(
        &self,
        points: Vec<(PointKey, Point)>,
        guard: &Filter,
        mode: UpdateMode,
    ) -> Result<u64, CallError> {
        let newest: HashMap<_, _> = points.into_iter().collect();
        self.change(|table, operation| {
            let is_chosen = |key: PointKey| match (table.row(key), mode) {
                (None, UpdateMode::Upsert | UpdateMode::InsertOnly) => true,
                (None, UpdateMode::UpdateOnly) | (Some(_), UpdateMode::InsertOnly) => false,
                (Some(row), UpdateMode::Upsert | UpdateMode::UpdateOnly) => table.matches(row, guard),
            };
            let mut chosen = newest;
            chosen.retain(|key, point| {
                point.version = operation;
                is_chosen(*key)
            });
            (chosen, Vec::new())
        })
    }

    /// Removes the points that a filter matches.
    pub(crate) fn delete(&self, filter: &Filter) -> Result<u64, CallError> {
        self.change(|table, _| (HashMap::new(), matching(table, filter)))
    }

    /// Changes the payload of the points that a filter matches.
    pub(crate) fn edit_payload(
        &self,
        filter: &Filter,
        edit: impl Fn(&mut crate::filter::Payload),
    ) -> Result<u64, CallError> {
        self.change(|table, operation| {
            let edited = matching(table, filter).into_iter().filter_map(|key| {
                let mut point = self.copy(table, key)?;
                edit(&mut point.payload);
                point.version = operation;
                Some((key, point))
            });
            (edited.collect(), Vec::new())
        })
    }

    fn copy(&self, table: &Table, key: PointKey) -> Option<Point> {
        let row = table.row(key)?;
        let entry = table.entry(row)?;
        let columns = 0..self.schema.vectors().len();
        Some(Point {
            version: entry.version,
            payload: entry.payload.clone(),
            vectors: columns
                .filter_map(|number| Some((number, table.column(number)?.get(row)?.to_vec())))
                .collect(),
        })
    }

    /// Adds or replaces a payload index; `save` writes the collection's record.
    pub(crate) fn add_index(
        &self,
        index: CreateFieldIndexCollection,
        save: impl FnOnce(&CollectionRecord) -> Result<(), DiskError>,
    ) -> Result<u64, CallError> {
        let path = Path::parse(&index.field_name)?;
        let field = index.field_name.clone();
        let keyword = is_keyword(&index);
        self.change_indexes(&field, Some(index), save, |table| {
            if keyword {
                table.add_index(&field, path);
            } else {
                table.drop_index(&field);
            }
        })
    }

    /// Drops a payload index; `save` writes the collection's record.
    pub(crate) fn drop_index(
        &self,
        field: &str,
        save: impl FnOnce(&CollectionRecord) -> Result<(), DiskError>,
    ) -> Result<u64, CallError> {
        self.change_indexes(field, None, save, |table| table.drop_index(field))
    }

    fn change_indexes(
        &self,
        field: &str,
        new: Option<CreateFieldIndexCollection>,
        save: impl FnOnce(&CollectionRecord) -> Result<(), DiskError>,
        apply: impl FnOnce(&mut Table),
    ) -> Result<u64, CallError> {
        let mut turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = record.clone();
        changed.indexes.retain(|index| index.field_name != field);
        changed.indexes.extend(new);
        save(&changed)?;
        *record = changed;
        apply(&mut self.write());
        let operation = *turn;
        *turn += 1;
        Ok(operation)
    }
}

fn matching(table: &Table, filter: &Filter) -> Vec<PointKey> {
    let candidates = table.candidates(filter);
    let rows = candidates.rows().iter();
    rows.filter(|(_, row)| table.matches(**row, filter))
        .map(|(key, _)| *key)
        .collect()
}

/// Says whether this server keeps an index for such a field; other kinds are only recorded.
fn is_keyword(index: &CreateFieldIndexCollection) -> bool {
    matches!(index.field_type(), FieldType::Keyword | FieldType::Uuid)
}
