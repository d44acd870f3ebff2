//! The graph of one tenant: what is told to it, and what it is asked.
//!
//! It holds ids, paths, statuses and authors, and nothing of what items say. Whoever is told what it answers reads the items
//! from PostgreSQL: the graph says where to look, never what is there.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use uuid::Uuid;

use super::engine::{Base, Engine, Error, Session};
use crate::path::stem_of;
use crate::store::Changes;

/// A tenant's graph; a clone is the same graph.
#[derive(Clone)]
pub struct Graph {
    base: Base,
}

/// An item that was reached, and the last step to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The item.
    pub id: Uuid,
    /// How many steps from the first.
    pub depth: i64,
    /// The item before it.
    pub came: Uuid,
    /// What ties them: `link`, `citation`, `supersedes`, `coUse`.
    pub relation: String,
    /// Who says so: `out` the one before, `in` this one, `both`.
    pub direction: String,
}

impl Graph {
    /// Makes a graph of nothing.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn create(engine: &Engine) -> Result<Self, Error> {
        let base = engine.open()?;
        let mut session = base.connect()?;
        session.run(include_str!("schema.sql"))?;
        session.run(include_str!("edges.sql"))?;
        Ok(Self { base })
    }

    /// Takes over what has changed, in one transaction: whoever asks meanwhile sees what was before.
    ///
    /// # Errors
    /// When the library refuses; the graph is not to be used any more.
    pub fn apply(&self, changes: &Changes) -> Result<(), Error> {
        let mut session = self.base.connect()?;
        session.run("begin transaction")?;
        session.fill("new_nodes", nodes(changes)?)?;
        session.fill("new_links", links(changes)?)?;
        session.fill("new_uses", uses(changes)?)?;
        session.run(include_str!("apply.sql"))?;
        session.run(include_str!("edges.sql"))?;
        session.run("commit")
    }

    /// Returns what is near an item, the nearest first: each item once, and behind those on the way to it.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn reach(&self, from: Uuid, reader: Option<&str>, depth: i32, limit: i32) -> Result<Vec<Reached>, Error> {
        let parameters = [
            text(Some(&from.to_string())),
            text(reader),
            number(depth),
            number(limit),
        ];
        let batches = self.session()?.ask(include_str!("reach.sql"), &parameters)?;
        let mut found = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                found.push(Reached {
                    id: id(string(batch, 0, row)?)?,
                    depth: batch
                        .column(1)
                        .as_primitive_opt::<Int64Type>()
                        .map(|depths| depths.value(row))
                        .ok_or_else(unexpected)?,
                    came: id(string(batch, 2, row)?)?,
                    relation: string(batch, 3, row)?.to_owned(),
                    direction: string(batch, 4, row)?.to_owned(),
                });
            }
        }
        Ok(found)
    }

    /// Returns how much of the relevance of some items, 0 to 1, arrives at those close to them; the most first.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn spread(&self, seeds: &[(Uuid, f64)], reader: Option<&str>, limit: i32) -> Result<Vec<(Uuid, f64)>, Error> {
        if seeds.is_empty() {
            return Ok(Vec::new());
        }
        // Ids and numbers are written by us: there is nothing to escape.
        let seeds: Vec<String> = seeds
            .iter()
            .map(|(id, score)| format!("('{id}', {score:?}::double)"))
            .collect();
        let question = include_str!("spread.sql").replace("{seeds}", &seeds.join(", "));
        let batches = self.session()?.ask(&question, &[text(reader), number(limit)])?;
        let mut found = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let scores = batch
                    .column(1)
                    .as_primitive_opt::<Float64Type>()
                    .ok_or_else(unexpected)?;
                found.push((id(string(batch, 0, row)?)?, scores.value(row)));
            }
        }
        Ok(found)
    }

    fn session(&self) -> Result<Session, Error> {
        self.base.connect()
    }

    /// Loses what it needs to answer. It is there for tests of what happens then.
    ///
    /// # Errors
    /// When the library refuses.
    #[doc(hidden)]
    pub fn break_down(&self) -> Result<(), Error> {
        self.session()?.run("drop table edges; drop table new_nodes")
    }
}

fn nodes(changes: &Changes) -> Result<RecordBatch, Error> {
    let column = |of: fn(&crate::store::Node) -> Option<&str>| strings(changes.nodes.iter().map(of));
    let ids: Vec<String> = changes.nodes.iter().map(|node| node.id.to_string()).collect();
    let live = |node: &crate::store::Node| !node.deleted;
    let paths = changes
        .nodes
        .iter()
        .map(|node| Some(node.path.as_str()).filter(|_| live(node)));
    batch([
        ("id", strings(ids.iter().map(|id| Some(id.as_str())))),
        ("path", strings(paths)),
        ("folded", column(|node| Some(&node.folded))),
        ("stem", column(|node| Some(stem_of(&node.folded)))),
        ("status", column(|node| Some(&node.status))),
        ("author", column(|node| Some(&node.author))),
        ("supersedes", column(|node| node.supersedes.as_deref())),
    ])
}

fn links(changes: &Changes) -> Result<RecordBatch, Error> {
    let items: Vec<String> = changes.links.iter().map(|link| link.item.to_string()).collect();
    batch([
        ("item", strings(items.iter().map(|id| Some(id.as_str())))),
        (
            "kind",
            strings(changes.links.iter().map(|link| Some(link.kind.as_str()))),
        ),
        (
            "target",
            strings(changes.links.iter().map(|link| Some(link.target.as_str()))),
        ),
    ])
}

fn uses(changes: &Changes) -> Result<RecordBatch, Error> {
    let pairs: Vec<[String; 2]> = changes
        .uses
        .iter()
        .map(|pair| [pair.one.to_string(), pair.other.to_string()])
        .collect();
    let times: Int64Array = changes.uses.iter().map(|pair| pair.times).collect::<Vec<i64>>().into();
    batch([
        ("one", strings(pairs.iter().map(|[one, _]| Some(one.as_str())))),
        ("other", strings(pairs.iter().map(|[_, other]| Some(other.as_str())))),
        ("times", Arc::new(times)),
    ])
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, Error> {
    let named = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named);
    batch.map_err(|error| Error::Refused(error.to_string()))
}

fn strings<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn text(value: Option<&str>) -> ArrayRef {
    strings(std::iter::once(value))
}

fn number(value: i32) -> ArrayRef {
    Arc::new(Int32Array::from(vec![value]))
}

fn string(batch: &RecordBatch, column: usize, row: usize) -> Result<&str, Error> {
    let values = batch.column(column).as_string_opt::<i32>().ok_or_else(unexpected)?;
    Ok(values.value(row))
}

fn id(text: &str) -> Result<Uuid, Error> {
    text.parse().map_err(|_| unexpected())
}

fn unexpected() -> Error {
    Error::Refused("the answer is not of the form that was asked for".to_owned())
}

#[cfg(test)]
mod tests;
