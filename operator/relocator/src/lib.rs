//! The worker that executes moves of a tenant's projection.
