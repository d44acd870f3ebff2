//! `GET /api/v1/roles`: who holds which role.

use axum::Json;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::{NAME, is_line};

use super::change::View;
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::roles;

/// How many entries a page has.
const SIZE: page::Size = page::Size {
    usual: 100,
    most: 1_000,
};

/// Whose roles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Only of this subject; then all of them are on one page.
    pub principal: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many, 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
}

/// A page of roles.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolePage)]
pub struct Page {
    /// Roles by subject, revoked ones as well.
    pub items: Vec<View>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Lists who holds which role.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/roles", tag = "roles", params(Parameters),
    responses(
        (status = 200, description = "Roles by subject", body = Page),
        (status = 400, description = "A parameter does not fit, or the cursor is of another list"),
        (status = 403, description = "The caller may not"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn list(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Page>, Problem> {
    let size = SIZE.check(asked.limit)?;
    if asked.principal.as_ref().is_some_and(|name| !is_line(name, NAME)) {
        let message = "1 to 256 bytes without control characters";
        return Err(Problem::field(Code::InvalidParameter, "principal", message));
    }
    let list = page::List::new(caller.scope.tenant(), "roles");
    let position = list.position(asked.cursor.as_deref())?;
    let mut desk = Admitted::open(&state, &caller, origin, action::ROLE_READ, "any").await?;
    let mut found = match &asked.principal {
        Some(principal) => roles::fetch(&mut desk.tx, std::slice::from_ref(principal)).await,
        None => {
            let after = position.and_then(|text| serde_json::from_str(&text).ok());
            roles::fetch_page(&mut desk.tx, after, i64::from(size) + 1).await
        }
    }
    .or_problem()?;
    desk.close().await?;
    // All roles of one principal are a page.
    let last = if asked.principal.is_none() {
        page::cut(&mut found, size)
    } else {
        None
    };
    let next_cursor = last.map(|last| list.cursor(&json!([last.principal, last.holding.role]).to_string()));
    Ok(Json(Page {
        next_cursor,
        items: found.into_iter().map(View::from).collect(),
    }))
}
