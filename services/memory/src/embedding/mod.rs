//! Embedders: text to vector.
//!
//! A model is named, and its name is part of a tenant's route: vectors of two models are never compared. The
//! [`Embedders`] of a service are those that its cluster configures; each text is looked up in memory and in Redis first.

mod cached;
mod local;
mod openai;

use std::collections::BTreeMap;

pub use cached::Cached;
pub use local::Local;
pub use openai::{OpenAi, OpenAiSettings};

/// A vector of as many f32 as the model has dimensions.
pub type Vector = Vec<f32>;

/// Why a text could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's files are missing or not what they should be.
    #[error("cannot load the local model from {path}; fetch it with fetch-weights.sh")]
    Load {
        /// Where it was looked for.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text could not be cut into tokens.
    #[error("cannot tokenize the text")]
    Tokenize(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The remote model did not answer.
    #[error("the embedding endpoint of {model} does not answer")]
    Unreachable {
        /// The model.
        model: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The remote model refused.
    #[error("the embedding endpoint of {model} answered {status}: {text}")]
    Refused {
        /// The model.
        model: String,
        /// The status.
        status: u16,
        /// The start of its answer.
        text: String,
    },
    /// The remote model answered with another number of vectors, or of another dimension.
    #[error("the embedding endpoint of {model} gave {found}, expected {expected}")]
    Shape {
        /// The model.
        model: String,
        /// What it gave.
        found: String,
        /// What it should have given.
        expected: String,
    },
    /// The text has no word that the model knows.
    #[error("the text has nothing to embed")]
    Empty,
    /// The service has no such model.
    #[error("no model {model} is configured; there are: {configured}")]
    UnknownModel {
        /// The model asked for.
        model: String,
        /// The models that there are.
        configured: String,
    },
}

/// One model.
#[derive(Debug)]
pub enum Model {
    /// Static vectors of words, in this process.
    Local(Box<Local>),
    /// An endpoint that speaks OpenAI's API.
    OpenAi(OpenAi),
}

impl Model {
    /// Returns how many dimensions its vectors have.
    #[must_use]
    pub fn dimension(&self) -> usize {
        match self {
            Self::Local(local) => local.dimension(),
            Self::OpenAi(remote) => remote.dimension(),
        }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vector>, Error> {
        match self {
            // Some 10 µs a short text: not worth another thread.
            Self::Local(local) => texts.iter().map(|text| local.embed(text)).collect(),
            Self::OpenAi(remote) => remote.embed(texts).await,
        }
    }
}

/// The models of a service, by name.
#[derive(Debug)]
pub struct Embedders {
    default: String,
    models: BTreeMap<String, Cached>,
}

impl Embedders {
    /// Makes the set; `default` must be among the models.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn new(default: String, models: BTreeMap<String, Cached>) -> Result<Self, Error> {
        let this = Self { default, models };
        this.get(&this.default)?;
        Ok(this)
    }

    /// Returns the name of the model for tenants whose route is not known yet.
    #[must_use]
    pub fn default_model(&self) -> &str {
        &self.default
    }

    /// Returns a model.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn get(&self, model: &str) -> Result<&Cached, Error> {
        self.models.get(model).ok_or_else(|| Error::UnknownModel {
            model: model.to_owned(),
            configured: self.models.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}
