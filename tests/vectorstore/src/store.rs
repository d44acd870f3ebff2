//! The collections of one directory: memory to answer from, disk as the log of truth.
//!
//! [`Store`] knows names and life cycles, [`collection::Collection`] who may change what when, [`table::Table`]
//! the points in memory, [`disk::Disk`] the bytes. Nothing here knows of gRPC, except that Qdrant's messages
//! serve as configuration and payload values.

mod collection;
mod column;
mod disk;
mod index;
mod key;
mod metric;
mod schema;
mod table;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use qdrant_client::qdrant::{CreateCollection, CreateFieldIndexCollection};

pub(crate) use collection::Collection;
pub(crate) use column::Column;
pub(crate) use disk::CollectionRecord;
pub(crate) use key::PointKey;
pub(crate) use metric::Metric;
pub(crate) use schema::Schema;
pub(crate) use table::{Candidates, Entry, Point, Table};

use crate::error::{CallError, DiskError};
use disk::Disk;

/// All collections of a directory.
pub(crate) struct Store {
    disk: Disk,
    collections: RwLock<BTreeMap<String, Arc<Collection>>>,
    /// The number of the next collection; holding it is the turn to create or delete one.
    next: Mutex<u64>,
}

impl Store {
    /// Opens a directory and reads everything into memory.
    pub(crate) fn open(dir: &Path) -> Result<Self, DiskError> {
        let disk = Disk::open(dir)?;
        let mut collections = BTreeMap::new();
        let mut next = 1;
        let records = disk.read_collections()?;
        disk.remove_orphans(&records)?;
        for record in records {
            next = next.max(record.number + 1);
            let create = record.create.as_ref();
            let name = create.map(|create| create.collection_name.clone()).unwrap_or_default();
            let points = disk.points(record.number)?;
            collections.insert(name, Arc::new(Collection::open(record, points)?));
        }
        Ok(Self {
            disk,
            collections: RwLock::new(collections),
            next: Mutex::new(next),
        })
    }

    /// Finds a collection.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Collection>, CallError> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        let found = collections.get(name).map(Arc::clone);
        found.ok_or_else(|| CallError::NoCollection(name.to_owned()))
    }

    /// Lists the names of the collections.
    pub(crate) fn names(&self) -> Vec<String> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        collections.keys().cloned().collect()
    }

    /// Makes a collection.
    pub(crate) fn create(&self, create: CreateCollection) -> Result<(), CallError> {
        let name = create.collection_name.clone();
        if name.is_empty() || name.len() > 255 {
            return Err(CallError::wrong_input("collection_name: length must be 1 to 255"));
        }
        Schema::read(&create)?;
        let mut turn = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if self.get(&name).is_ok() {
            return Err(CallError::CollectionExists(name));
        }
        let record = CollectionRecord {
            number: *turn,
            create: Some(create),
            indexes: Vec::new(),
        };
        *turn += 1;
        self.disk.write_collection(&record)?;
        let points = self.disk.points(record.number)?;
        let collection = Arc::new(Collection::open(record, points)?);
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        collections.insert(name, collection);
        Ok(())
    }

    /// Deletes a collection; answers whether there was one.
    pub(crate) fn delete(&self, name: &str) -> Result<bool, CallError> {
        let _turn = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(collection) = self.get(name) else {
            return Ok(false);
        };
        self.disk.remove_collection(collection.record().number)?;
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        collections.remove(name);
        Ok(true)
    }

    /// Adds a payload index.
    pub(crate) fn add_index(&self, index: CreateFieldIndexCollection) -> Result<u64, CallError> {
        let collection = self.get(&index.collection_name)?;
        collection.add_index(index, |record| self.disk.write_collection(record))
    }

    /// Drops a payload index.
    pub(crate) fn drop_index(&self, collection: &str, field: &str) -> Result<u64, CallError> {
        let collection = self.get(collection)?;
        collection.drop_index(field, |record| self.disk.write_collection(record))
    }
}
