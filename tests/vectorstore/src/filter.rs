//! Filters, compiled once a request and judged on points in memory.
//!
//! A filter that this server does not know is refused while it is compiled (`CallError::Unsupported`), never
//! ignored: a filter that matches too much would delete or show what it must not.
//!
//! The guard of a batch is an OR over one clause an id. [`Should`] files such clauses under their id, so that
//! judging n points by n clauses costs n look-ups, not n².

mod compile;
mod path;
mod test;

use std::collections::{HashMap, HashSet};

use qdrant_client::qdrant::Value;

pub(crate) use path::Path;
pub(crate) use test::{Test, elements};

use crate::store::PointKey;

/// A point's payload.
pub(crate) type Payload = HashMap<String, Value>;

/// A point, as far as a filter looks at it.
pub(crate) struct Subject<'a> {
    pub(crate) key: PointKey,
    pub(crate) payload: &'a Payload,
    /// Tells whether the point has a vector of this name.
    pub(crate) has_vector: &'a dyn Fn(&str) -> bool,
}

/// A filter ready to judge points; the default one lets every point through.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    must: Vec<Predicate>,
    must_not: Vec<Predicate>,
    should: Option<Should>,
    min_should: Option<(usize, Vec<Predicate>)>,
}

/// One condition of a filter.
#[derive(Debug)]
pub(crate) enum Predicate {
    HasId(HashSet<PointKey>),
    HasVector(String),
    IsEmpty(Path),
    IsNull(Path),
    Field(Path, Test),
    Filter(Box<Filter>),
}

/// The alternatives of a filter, of which one must hold.
#[derive(Debug, Default)]
struct Should {
    /// Alternatives that can only hold for certain ids, by position in `alternatives`.
    by_id: HashMap<PointKey, Vec<usize>>,
    /// Positions of the other alternatives.
    general: Vec<usize>,
    alternatives: Vec<Predicate>,
}

impl Filter {
    /// Judges a point.
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        let holds = |predicate: &Predicate| predicate.holds(subject);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && self.should.as_ref().is_none_or(|any| any.holds(subject))
            && self
                .min_should
                .as_ref()
                .is_none_or(|(least, list)| list.iter().filter(|one| one.holds(subject)).take(*least).count() == *least)
    }

    /// Returns the conditions of which every match fulfils all, for choosing an index.
    pub(crate) fn required(&self) -> &[Predicate] {
        &self.must
    }

    /// Returns the only ids that can match, if the filter names them.
    fn ids(&self) -> Option<&HashSet<PointKey>> {
        self.must.iter().find_map(Predicate::ids)
    }
}

impl Predicate {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::HasId(keys) => keys.contains(&subject.key),
            Self::HasVector(name) => (subject.has_vector)(name),
            Self::IsEmpty(path) => {
                let mut all = true;
                path.visit(subject.payload, &mut |value| {
                    all = all && test::is_empty(value);
                });
                all
            }
            Self::IsNull(path) => {
                let mut any = false;
                path.visit(subject.payload, &mut |value| {
                    any = any || test::is_null(value);
                });
                any
            }
            Self::Field(path, test) => test.holds(path, subject.payload),
            Self::Filter(filter) => filter.matches(subject),
        }
    }

    fn ids(&self) -> Option<&HashSet<PointKey>> {
        match self {
            Self::HasId(keys) => Some(keys),
            Self::Filter(filter) => filter.ids(),
            Self::HasVector(_) | Self::IsEmpty(_) | Self::IsNull(_) | Self::Field(..) => None,
        }
    }
}

impl Should {
    fn new(alternatives: Vec<Predicate>) -> Self {
        let mut filed = Self::default();
        for (position, alternative) in alternatives.iter().enumerate() {
            match alternative.ids() {
                Some(keys) => keys
                    .iter()
                    .for_each(|key| filed.by_id.entry(*key).or_default().push(position)),
                None => filed.general.push(position),
            }
        }
        filed.alternatives = alternatives;
        filed
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        let own = self.by_id.get(&subject.key).into_iter().flatten();
        own.chain(&self.general)
            .filter_map(|position| self.alternatives.get(*position))
            .any(|alternative| alternative.holds(subject))
    }
}
