//! From the filter of a request to one that can be judged.
//!
//! Every field of Qdrant's messages is either compiled or refused by name; the destructuring patterns make the
//! compiler point here when a newer client brings a new one.

use std::collections::HashSet;

use qdrant_client::qdrant::{self, FieldCondition, condition::ConditionOneOf, r#match::MatchValue};

use super::{Filter, Path, Predicate, Should, Test};
use crate::{error::CallError, store::PointKey};

/// Filters nested deeper than this are refused: the judge is recursive, and its stack is not endless.
const DEEPEST: usize = 32;

impl Filter {
    /// Compiles the filter of a request; none lets every point through.
    pub(crate) fn compile(filter: Option<qdrant::Filter>) -> Result<Self, CallError> {
        filter.map_or_else(|| Ok(Self::default()), |filter| compile(filter, DEEPEST))
    }

    /// Makes the filter that lets exactly these ids through.
    pub(crate) fn of_ids(ids: Vec<qdrant::PointId>) -> Result<Self, CallError> {
        let keys: Result<_, _> = ids.into_iter().map(PointKey::try_from).collect();
        Ok(Self {
            must: vec![Predicate::HasId(keys?)],
            ..Self::default()
        })
    }
}

fn compile(filter: qdrant::Filter, depth: usize) -> Result<Filter, CallError> {
    let qdrant::Filter {
        should,
        must,
        must_not,
        min_should,
    } = filter;
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| CallError::wrong_input("the filter is nested too deep"))?;
    let all = |list: Vec<qdrant::Condition>| {
        list.into_iter()
            .map(|one| compile_condition(one, depth))
            .collect::<Result<Vec<_>, _>>()
    };
    let should = all(should)?;
    let min_should = min_should
        .map(|least| {
            let count = usize::try_from(least.min_count).unwrap_or(usize::MAX);
            all(least.conditions).map(|list| (count, list))
        })
        .transpose()?;
    Ok(Filter {
        must: all(must)?,
        must_not: all(must_not)?,
        should: (!should.is_empty()).then(|| Should::new(should)),
        min_should,
    })
}

fn compile_condition(condition: qdrant::Condition, depth: usize) -> Result<Predicate, CallError> {
    let kind = condition
        .condition_one_of
        .ok_or_else(|| CallError::wrong_input("Malformed Condition type"))?;
    Ok(match kind {
        ConditionOneOf::Field(field) => compile_field(field)?,
        ConditionOneOf::IsEmpty(empty) => Predicate::IsEmpty(Path::parse(&empty.key)?),
        ConditionOneOf::IsNull(null) => Predicate::IsNull(Path::parse(&null.key)?),
        ConditionOneOf::HasId(ids) => {
            let keys: Result<HashSet<_>, _> = ids.has_id.into_iter().map(PointKey::try_from).collect();
            Predicate::HasId(keys?)
        }
        ConditionOneOf::Filter(filter) => Predicate::Filter(Box::new(compile(filter, depth)?)),
        ConditionOneOf::HasVector(vector) => Predicate::HasVector(vector.has_vector),
        ConditionOneOf::Nested(_) => return Err(unsupported("on nested objects")),
        ConditionOneOf::Slice(_) => return Err(unsupported("by slice")),
    })
}

fn compile_field(condition: FieldCondition) -> Result<Predicate, CallError> {
    let FieldCondition {
        key,
        r#match: matched,
        range,
        geo_bounding_box,
        geo_radius,
        values_count,
        geo_polygon,
        datetime_range,
        is_empty,
        is_null,
    } = condition;
    if geo_bounding_box.is_some() || geo_radius.is_some() || geo_polygon.is_some() {
        return Err(unsupported("by geography"));
    }
    if datetime_range.is_some() {
        return Err(unsupported("by datetime range"));
    }
    let matched = matched.map(compile_match).transpose()?;
    let mut tests = matched
        .into_iter()
        .chain(range.map(Test::Range))
        .chain(values_count.map(Test::Count))
        .chain(is_empty.map(Test::Empty))
        .chain(is_null.map(Test::Null));
    let test = tests
        .next()
        .ok_or_else(|| CallError::wrong_input("At least one field condition must be specified"))?;
    if tests.next().is_some() {
        return Err(unsupported("with several tests in one field condition"));
    }
    Ok(Predicate::Field(Path::parse(&key)?, test))
}

fn compile_match(matched: qdrant::Match) -> Result<Test, CallError> {
    let value = matched
        .match_value
        .ok_or_else(|| CallError::wrong_input("Malformed Match condition"))?;
    Ok(match value {
        MatchValue::Keyword(word) => Test::Keyword(word),
        MatchValue::Boolean(flag) => Test::Boolean(flag),
        MatchValue::Integer(number) => Test::AnyInteger(HashSet::from([number])),
        MatchValue::Keywords(words) => Test::AnyKeyword(words.strings.into_iter().collect()),
        MatchValue::Integers(numbers) => Test::AnyInteger(numbers.integers.into_iter().collect()),
        MatchValue::ExceptKeywords(words) => Test::ExceptKeyword(words.strings.into_iter().collect()),
        MatchValue::ExceptIntegers(numbers) => Test::ExceptInteger(numbers.integers.into_iter().collect()),
        MatchValue::Text(_) | MatchValue::Phrase(_) | MatchValue::TextAny(_) => {
            return Err(unsupported("by text"));
        }
        MatchValue::Prefix(_) | MatchValue::Substring(_) => {
            return Err(unsupported("by a part of a keyword"));
        }
    })
}

fn unsupported(how: &str) -> CallError {
    CallError::unsupported(format!("filtering {how}"))
}
