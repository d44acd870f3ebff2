//! `/api/v1/sync/connections`: what was started once, and goes on being there.

pub mod delete;
pub mod get;
pub mod list;

use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::Action;

use crate::permissions::about_stored;
use crate::state::State;
use crate::store::{self, ShownConnection};

/// Fetches a connection to which a caller wants to do something, unless the policies forbid that.
pub(super) async fn admit(
    state: &State,
    caller: &Caller,
    judge: &Judge,
    (id, action): (Uuid, Action),
) -> Result<ShownConnection, Problem> {
    let found = admit_if_there(state, caller, judge, (id, action)).await?;
    found.ok_or_else(|| no_connection(id))
}

/// Does the same, and leaves it to the caller what it means that there is none.
pub(super) async fn admit_if_there(
    state: &State,
    caller: &Caller,
    judge: &Judge,
    (id, action): (Uuid, Action),
) -> Result<Option<ShownConnection>, Problem> {
    let found = store::list_connections(&state.pool, &caller.scope, Some(id), None, 1).await?;
    let found = found.into_iter().next();
    if let Some(found) = &found {
        judge.check(about_stored(action, id, &found.source, &found.created_by))?;
    }
    Ok(found)
}

/// The problem of a connection that the tenant does not have.
pub(super) fn no_connection(id: Uuid) -> Problem {
    Problem::new(Code::ConnectionNotFound, format!("the tenant has no connection {id}"))
}
