//! `GET /api/v1/sync/connections`: the tenant's connections.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::Problem;

use crate::routes::PAGE;
use crate::state::State;
use crate::store::{self, ShownConnection};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// At most so many, 1 to 200; 50 unless said.
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of connections.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// The connections, newest first.
    pub items: Vec<ShownConnection>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Lists the tenant's connections, newest first.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/connections", tag = "connections", params(Parameters),
    responses(
        (status = 200, description = "A page of connections", body = Connections),
        (status = 400, description = "A parameter does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn list(
    caller: Caller,
    Shared(state): Shared<State>,
    Query(parameters): Query<Parameters>,
) -> Result<Reply<Connections>, Problem> {
    let size = PAGE.check(parameters.limit)?;
    let list = page::List::new(caller.scope.tenant(), "connections");
    let before = list.place(parameters.cursor.as_deref())?;
    let most = i64::from(size) + 1;
    let mut items = store::list_connections(&state.pool, &caller.scope, None, before, most).await?;
    let next_cursor = page::cut(&mut items, size).map(|last| list.cursor(&last.id.to_string()));
    Ok(Reply(Connections { items, next_cursor }))
}
