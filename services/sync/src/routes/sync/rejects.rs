//! `GET /api/v1/sync/rejects`: items that their target has not, and why.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};

use crate::routes::PAGE;
use crate::state::State;
use crate::store::{self, Reject};

/// Which rejects.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// Only rejects of this connection.
    connection_id: Option<Uuid>,
    /// Only rejects with this code.
    code: Option<String>,
    /// At most so many, 1 to 200; 50 unless said.
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of rejects.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejects {
    /// The rejects, newest first.
    pub items: Vec<Reject>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Lists items that their source holds and their target has not, newest first. A reject goes away when its item passes or
/// leaves its source.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/rejects", tag = "sync", params(Parameters),
    responses(
        (status = 200, description = "A page of rejects", body = Rejects),
        (status = 400, description = "A parameter does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn rejects(
    caller: Caller,
    Shared(state): Shared<State>,
    Query(parameters): Query<Parameters>,
) -> Result<Reply<Rejects>, Problem> {
    let Parameters {
        connection_id, code, ..
    } = parameters;
    if code.as_ref().is_some_and(|code| code.contains('\0')) {
        return Err(Problem::field(Code::InvalidParameter, "code", "a code has no NUL"));
    }
    let size = PAGE.check(parameters.limit)?;
    let list = page::List::new(caller.scope.tenant(), &format!("rejects {connection_id:?} {code:?}"));
    let before = list.place(parameters.cursor.as_deref())?;
    let (which, most) = ((connection_id, code.as_deref()), i64::from(size) + 1);
    let mut items = store::list_rejects(&state.pool, &caller.scope, which, before, most).await?;
    let next_cursor = page::cut(&mut items, size).map(|last| list.cursor(&last.id.to_string()));
    Ok(Reply(Rejects { items, next_cursor }))
}
