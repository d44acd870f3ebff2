//! `/api/v1/embeddings`.

pub mod generate;
