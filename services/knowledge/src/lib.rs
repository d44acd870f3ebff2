//! The knowledge service.
