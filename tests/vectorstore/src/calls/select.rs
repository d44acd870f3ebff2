//! What of a point is put into an answer.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    DenseVector, NamedVectorsOutput, RetrievedPoint, VectorOutput, VectorsOutput, WithPayloadSelector,
    WithVectorsSelector, vector_output::Vector, vectors_output::VectorsOptions,
    with_payload_selector::SelectorOptions as PayloadOptions, with_vectors_selector::SelectorOptions as VectorOptions,
};

use crate::{
    error::CallError,
    filter::Payload,
    store::{Entry, Schema, Table},
};

/// The parts of points that a request asks for.
pub(crate) struct Selection {
    payload: PayloadChoice,
    /// Names and columns of the vectors.
    vectors: Vec<(String, usize)>,
}

enum PayloadChoice {
    All,
    Nothing,
    Only(Vec<String>),
    Without(Vec<String>),
}

impl Selection {
    /// Reads the selectors of a request; `payload_by_default` is for a request that does not say.
    pub(crate) fn read(
        schema: &Schema,
        payload: Option<WithPayloadSelector>,
        vectors: Option<WithVectorsSelector>,
        by_default: Default,
    ) -> Result<Self, CallError> {
        Ok(Self {
            payload: read_payload(payload, by_default)?,
            vectors: read_vectors(schema, vectors)?,
        })
    }

    /// Builds the chosen parts of a point.
    pub(crate) fn point(&self, table: &Table, row: usize, entry: &Entry) -> RetrievedPoint {
        RetrievedPoint {
            id: Some(entry.key.into()),
            payload: self.payload.of(&entry.payload),
            vectors: self.vectors_of(table, row),
            ..std::default::Default::default()
        }
    }

    fn vectors_of(&self, table: &Table, row: usize) -> Option<VectorsOutput> {
        if self.vectors.is_empty() {
            return None;
        }
        let found = self.vectors.iter().filter_map(|(name, column)| {
            let values = table.column(*column)?.get(row)?;
            Some((name.clone(), output(values)))
        });
        let mut named: HashMap<_, _> = found.collect();
        let options = match named.remove("") {
            Some(vector) => VectorsOptions::Vector(vector),
            None => VectorsOptions::Vectors(NamedVectorsOutput { vectors: named }),
        };
        Some(VectorsOutput {
            vectors_options: Some(options),
        })
    }
}

/// What a request means that does not mention payloads.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    WithPayload,
    WithoutPayload,
}

impl PayloadChoice {
    fn of(&self, payload: &Payload) -> Payload {
        let filtered = |keep: &dyn Fn(&String) -> bool| {
            let fields = payload.iter().filter(|(key, _)| keep(key));
            fields.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        match self {
            Self::All => payload.clone(),
            Self::Nothing => Payload::new(),
            Self::Only(keys) => filtered(&|key| keys.contains(key)),
            Self::Without(keys) => filtered(&|key| !keys.contains(key)),
        }
    }
}

fn read_payload(selector: Option<WithPayloadSelector>, by_default: Default) -> Result<PayloadChoice, CallError> {
    Ok(match selector.and_then(|selector| selector.selector_options) {
        None => match by_default {
            Default::WithPayload => PayloadChoice::All,
            Default::WithoutPayload => PayloadChoice::Nothing,
        },
        Some(PayloadOptions::Enable(true)) => PayloadChoice::All,
        Some(PayloadOptions::Enable(false)) => PayloadChoice::Nothing,
        Some(PayloadOptions::Include(include)) => PayloadChoice::Only(plain(include.fields)?),
        Some(PayloadOptions::Exclude(exclude)) => PayloadChoice::Without(plain(exclude.fields)?),
    })
}

fn plain(fields: Vec<String>) -> Result<Vec<String>, CallError> {
    if fields.iter().any(|field| field.contains(['.', '[', '"'])) {
        return Err(CallError::unsupported("selecting a part of a payload field"));
    }
    Ok(fields)
}

fn read_vectors(schema: &Schema, selector: Option<WithVectorsSelector>) -> Result<Vec<(String, usize)>, CallError> {
    match selector.and_then(|selector| selector.selector_options) {
        None | Some(VectorOptions::Enable(false)) => Ok(Vec::new()),
        Some(VectorOptions::Enable(true)) => {
            let all = schema.vectors().iter().enumerate();
            Ok(all.map(|(column, vector)| (vector.name.clone(), column)).collect())
        }
        Some(VectorOptions::Include(include)) => {
            let find = |name: String| schema.get(&name).map(|(column, _)| (name.clone(), column));
            include.names.into_iter().map(find).collect()
        }
    }
}

fn output(values: &[f32]) -> VectorOutput {
    VectorOutput {
        vector: Some(Vector::Dense(DenseVector { data: values.to_vec() })),
        ..std::default::Default::default()
    }
}
