//! The points of a collection in memory: what every read is answered from.
//!
//! A point has a row; rows of removed points are used again. The table knows nothing of the disk: whoever
//! changes it has written the change to the log before.

use std::collections::BTreeMap;

use super::{
    PointKey,
    column::Column,
    index::{KeywordIndex, Rows},
    schema::Schema,
};
use crate::filter::{Filter, Path, Payload, Predicate, Subject, Test};

/// A point, ready to be written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Point {
    /// The number of the operation that wrote it.
    pub(crate) version: u64,
    pub(crate) payload: Payload,
    /// Column and prepared vector.
    pub(crate) vectors: Vec<(usize, Vec<f32>)>,
}

/// A stored point without its vectors.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: PointKey,
    pub(crate) version: u64,
    pub(crate) payload: Payload,
}

/// All points of a collection.
#[derive(Debug)]
pub(crate) struct Table {
    schema: Schema,
    rows: Rows,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    columns: Vec<Column>,
    indexes: BTreeMap<String, KeywordIndex>,
}

/// The points that can match a filter: a superset, as small as the indexes make it.
pub(crate) enum Candidates<'a> {
    All(&'a Rows),
    Some(&'a Rows),
    Ids(Rows),
}

impl Candidates<'_> {
    /// Returns the candidates in the order of their ids.
    pub(crate) fn rows(&self) -> &Rows {
        match self {
            Self::All(rows) | Self::Some(rows) => rows,
            Self::Ids(rows) => rows,
        }
    }
}

impl Table {
    /// Makes an empty table.
    pub(crate) fn new(schema: Schema) -> Self {
        let columns = schema.vectors().iter().map(|vector| Column::new(vector.size)).collect();
        Self {
            schema,
            rows: Rows::new(),
            entries: Vec::new(),
            free: Vec::new(),
            columns,
            indexes: BTreeMap::new(),
        }
    }

    /// Counts the points.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Finds the row of a point.
    pub(crate) fn row(&self, key: PointKey) -> Option<usize> {
        self.rows.get(&key).copied()
    }

    /// Returns what a row holds.
    pub(crate) fn entry(&self, row: usize) -> Option<&Entry> {
        self.entries.get(row)?.as_ref()
    }

    /// Returns all rows, used or not.
    pub(crate) fn entries(&self) -> &[Option<Entry>] {
        &self.entries
    }

    /// Returns the vectors of one name.
    pub(crate) fn column(&self, column: usize) -> Option<&Column> {
        self.columns.get(column)
    }

    /// Says whether a row matches a filter.
    pub(crate) fn matches(&self, row: usize, filter: &Filter) -> bool {
        let has_vector = |name: &str| {
            let column = self.schema.find(name).and_then(|(column, _)| self.column(column));
            column.is_some_and(|column| column.get(row).is_some())
        };
        self.entry(row).is_some_and(|entry| {
            filter.matches(&Subject {
                key: entry.key,
                payload: &entry.payload,
                has_vector: &has_vector,
            })
        })
    }

    /// Narrows the points down to those that can match a filter.
    pub(crate) fn candidates(&self, filter: &Filter) -> Candidates<'_> {
        let narrowed = filter.required().iter().filter_map(|condition| self.narrow(condition));
        narrowed
            .min_by_key(|candidates| candidates.rows().len())
            .unwrap_or(Candidates::All(&self.rows))
    }

    fn narrow(&self, condition: &Predicate) -> Option<Candidates<'_>> {
        match condition {
            Predicate::HasId(keys) => {
                let known = keys.iter().filter_map(|key| Some((*key, self.row(*key)?)));
                Some(Candidates::Ids(known.collect()))
            }
            Predicate::Field(path, Test::Keyword(word)) => {
                let index = self.indexes.values().find(|index| index.is_of(path))?;
                Some(match index.rows(word) {
                    Some(rows) => Candidates::Some(rows),
                    None => Candidates::Ids(Rows::new()),
                })
            }
            Predicate::HasVector(_)
            | Predicate::IsEmpty(_)
            | Predicate::IsNull(_)
            | Predicate::Field(..)
            | Predicate::Filter(_) => None,
        }
    }

    /// Inserts a point or replaces it whole.
    pub(crate) fn put(&mut self, key: PointKey, point: Point) {
        self.remove(key);
        let row = self.free.pop().unwrap_or(self.entries.len());
        if row == self.entries.len() {
            self.entries.push(None);
        }
        for (number, column) in self.columns.iter_mut().enumerate() {
            let vector = point.vectors.iter().find(|(of, _)| *of == number);
            column.set(row, vector.map(|(_, vector)| vector.as_slice()));
        }
        for index in self.indexes.values_mut() {
            index.insert(key, row, &point.payload);
        }
        if let Some(place) = self.entries.get_mut(row) {
            *place = Some(Entry {
                key,
                version: point.version,
                payload: point.payload,
            });
        }
        self.rows.insert(key, row);
    }

    /// Removes a point if it is there.
    pub(crate) fn remove(&mut self, key: PointKey) {
        let Some(row) = self.rows.remove(&key) else {
            return;
        };
        let entry = self.entries.get_mut(row).and_then(Option::take);
        for index in self.indexes.values_mut() {
            if let Some(entry) = &entry {
                index.remove(key, &entry.payload);
            }
        }
        for column in &mut self.columns {
            column.set(row, None);
        }
        self.free.push(row);
    }

    /// Builds the index of a keyword field from the points that are there.
    pub(crate) fn add_index(&mut self, field: &str, path: Path) {
        let mut index = KeywordIndex::new(path);
        for (key, row) in &self.rows {
            if let Some(entry) = self.entries.get(*row).and_then(Option::as_ref) {
                index.insert(*key, *row, &entry.payload);
            }
        }
        self.indexes.insert(field.to_owned(), index);
    }

    /// Drops the index of a field if there is one.
    pub(crate) fn drop_index(&mut self, field: &str) {
        self.indexes.remove(field);
    }

    /// Returns the index of a field.
    pub(crate) fn index(&self, field: &str) -> Option<&KeywordIndex> {
        self.indexes.get(field)
    }
}
