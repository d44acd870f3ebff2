//! `/api/v1/sync`: jobs, from their start to their end.

pub mod cancel;
pub mod jobs;
pub mod rejects;
pub mod retry;
pub mod start;
pub mod status;

use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

/// The problem of a job that the tenant does not have.
fn no_job(id: Uuid) -> Problem {
    Problem::new(Code::JobNotFound, format!("the tenant has no job {id}"))
}

/// Returns where a job is looked at.
pub(super) fn location(id: Uuid) -> String {
    format!("/api/v1/sync/status/{id}")
}
