//! The vectors that a collection has: their names, sizes and distances.
//!
//! The unnamed vector of Qdrant is the one whose name is empty. Kinds of vectors that this server does not keep
//! (sparse, multi, quantised types) are refused when the collection is created.

use qdrant_client::qdrant::{CreateCollection, Datatype, Distance, VectorParams, vectors_config::Config};

use super::metric::Metric;
use crate::error::CallError;

/// One vector of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VectorSpec {
    /// Empty for the unnamed vector.
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) metric: Metric,
}

/// All vectors of a collection, ordered by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    vectors: Vec<VectorSpec>,
}

impl Schema {
    /// Reads the vectors that a collection is to have.
    pub(crate) fn read(create: &CreateCollection) -> Result<Self, CallError> {
        refuse_unsupported(create)?;
        let config = create.vectors_config.as_ref().and_then(|config| config.config.as_ref());
        let mut vectors = match config {
            None => Vec::new(),
            Some(Config::Params(params)) => vec![read_vector("", params)?],
            Some(Config::ParamsMap(map)) => map
                .map
                .iter()
                .map(|(name, params)| read_vector(name, params))
                .collect::<Result<_, _>>()?,
        };
        vectors.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Self { vectors })
    }

    /// Lists the vectors; the position in this list is the number of the vector's column.
    pub(crate) fn vectors(&self) -> &[VectorSpec] {
        &self.vectors
    }

    /// Finds a vector and its column by name.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &VectorSpec)> {
        self.vectors.iter().enumerate().find(|(_, vector)| vector.name == name)
    }

    /// Finds a vector that a request names.
    pub(crate) fn get(&self, name: &str) -> Result<(usize, &VectorSpec), CallError> {
        self.find(name).ok_or_else(|| CallError::NoVector(name.to_owned()))
    }
}

fn read_vector(name: &str, params: &VectorParams) -> Result<VectorSpec, CallError> {
    let size = usize::try_from(params.size).unwrap_or_default();
    // The bounds are Qdrant's.
    if !(1..=65_536).contains(&size) {
        return Err(CallError::wrong_input(format!(
            "vector size {} is not between 1 and 65536",
            params.size
        )));
    }
    let datatype = params.datatype();
    if datatype != Datatype::Default && datatype != Datatype::Float32 {
        return Err(CallError::unsupported("a vector datatype other than float32"));
    }
    if params.multivector_config.is_some() {
        return Err(CallError::unsupported("a multivector"));
    }
    let metric = match params.distance() {
        Distance::Cosine => Metric::Cosine,
        Distance::Dot => Metric::Dot,
        Distance::Euclid => Metric::Euclid,
        Distance::Manhattan => Metric::Manhattan,
        Distance::UnknownDistance => return Err(CallError::wrong_input("unknown distance")),
    };
    Ok(VectorSpec {
        name: name.to_owned(),
        size,
        metric,
    })
}

fn refuse_unsupported(create: &CreateCollection) -> Result<(), CallError> {
    let refuse = |what: &str| Err(CallError::unsupported(what));
    if create
        .sparse_vectors_config
        .as_ref()
        .is_some_and(|sparse| !sparse.map.is_empty())
    {
        return refuse("a sparse vector");
    }
    // 1 is `Custom`; the number of shards and replicas changes no answer of a single server.
    if create.sharding_method == Some(1) {
        return refuse("custom sharding");
    }
    if create
        .strict_mode_config
        .as_ref()
        .is_some_and(|strict| strict.enabled == Some(true))
    {
        return refuse("strict mode");
    }
    Ok(())
}
