//! `/api/v1/sync/connections`: what was started once, and goes on being there.

pub mod delete;
pub mod get;
pub mod list;

use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};

/// The problem of a connection that the tenant does not have.
fn no_connection(id: Uuid) -> Problem {
    Problem::new(Code::ConnectionNotFound, format!("the tenant has no connection {id}"))
}
