//! The sync service.
