//! SQL, and nothing else: requests and workers alike work in one tenant's scope; only a claim looks across tenants.

mod batch;
mod claim;
mod connections;
mod items;
mod jobs;
mod rejects;
mod row;
mod schedules;
mod upkeep;
mod webhooks;

use aeterna_kit::db;
use aeterna_kit::problem::{Code, Problem};

pub use batch::{Batch, Became, Refuser, Settled, commit, intend};
pub use claim::{Claimed, Ending, Fence, claim, finish, heartbeat, release};
pub use connections::{
    Forgotten, ShownConnection, fetch_connection, find_connection, forget_connection, list_connections,
    record_connection,
};
pub use items::{
    Delivered, count_delivered, count_moved, digest, fetch_known, fetch_leftover, fetch_unseen, forget_seen,
};
pub use jobs::{NewJob, Over, Recorded, cancel, fetch, list, record_job};
pub use rejects::{Reject, fetch_limits, fetch_reject, list_rejects};
pub use schedules::{Due, NewSchedule, Schedule, delete_schedule, fetch_due, fire, list_schedules, put_schedule};
pub use upkeep::{fetch_tenants, forget_old_jobs, retain_connections};
pub use webhooks::{
    NewWebhook, Taken, Webhook, delete_webhook, fetch_pending, fetch_webhook, follow_up, put_webhook, take_delivery,
};

/// Rows of one statement where there may be a million: a statement has ten seconds.
const PIECE: i64 = 10_000;

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job was claimed by somebody else, or is over: whoever holds the old claim changes nothing.
    #[error("the job belongs to another attempt")]
    Fenced,
    /// The transaction could not begin.
    #[error(transparent)]
    Begin(#[from] db::Error),
    /// A statement failed.
    #[error("cannot {operation}")]
    Query {
        /// What it was to do.
        operation: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this release cannot read.
    #[error("a row of {table} cannot be read")]
    Row {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

/// Names a statement that fails.
fn cannot(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |source| Error::Query { operation, source }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Query { source, .. } | Error::Row { source, .. } => Self::database(&source),
            Error::Begin(begin) => begin.into(),
            Error::Fenced => Self::hiding(Code::Internal, "the request could not be served", &error),
        }
    }
}
