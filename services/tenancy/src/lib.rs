//! Routes, shards and moves.
