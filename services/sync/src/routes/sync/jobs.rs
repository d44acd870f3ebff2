//! `GET /api/v1/sync/jobs`: the tenant's jobs.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::Problem;

use crate::job::{Job, Status};
use crate::routes::PAGE;
use crate::state::State;
use crate::store;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// Only jobs of this status.
    #[param(inline)]
    status: Option<Status>,
    /// Only jobs of this connection.
    connection_id: Option<Uuid>,
    /// At most so many, 1 to 200; 50 unless said.
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jobs {
    /// The jobs, newest first.
    pub items: Vec<Job>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Lists the tenant's jobs, newest first.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/jobs", tag = "sync", params(Parameters),
    responses(
        (status = 200, description = "A page of jobs", body = Jobs),
        (status = 400, description = "A parameter does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn jobs(
    caller: Caller,
    Shared(state): Shared<State>,
    Query(parameters): Query<Parameters>,
) -> Result<Reply<Jobs>, Problem> {
    let Parameters {
        status, connection_id, ..
    } = parameters;
    let size = PAGE.check(parameters.limit)?;
    let list = page::List::new(caller.scope.tenant(), &format!("jobs {status:?} {connection_id:?}"));
    let before = list.place(parameters.cursor.as_deref())?;
    let most = i64::from(size) + 1;
    let mut items = store::list(&state.pool, &caller.scope, (status, connection_id), before, most).await?;
    let next_cursor = page::cut(&mut items, size).map(|last| list.cursor(&last.id.to_string()));
    Ok(Reply(Jobs { items, next_cursor }))
}
