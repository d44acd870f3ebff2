//! The truth's rows and their projection into Qdrant.
