//! A small server that speaks Qdrant's gRPC.
