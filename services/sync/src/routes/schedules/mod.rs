//! `/api/v1/sync/schedules`: when connections' jobs start by themselves.

pub mod delete;
pub mod get;
pub mod list;
pub mod put;

use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

/// The problem of a connection without a schedule.
fn no_schedule(connection: Uuid) -> Problem {
    Problem::new(
        Code::ScheduleNotFound,
        format!("the tenant has no schedule of a connection {connection}"),
    )
}
