//! `GET /api/v1/policies`: the tenant's policies, by name.

use axum::Json;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::Problem;

use super::view::View;
use crate::admission::Admitted;
use crate::canonical;
use crate::origin::Origin;
use crate::policy::{Kind, Layer, Status};
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies::{self, Filter};

/// How many entries a page has.
const SIZE: page::Size = page::Size { usual: 50, most: 100 };

/// Which policies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Only of this type.
    #[serde(rename = "type")]
    #[param(inline)]
    pub kind: Option<Kind>,
    /// Only of this layer.
    #[param(inline)]
    pub layer: Option<Layer>,
    /// Only with this status.
    #[param(inline)]
    pub status: Option<Status>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many, 1 to 100; 50 unless said.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
}

/// A page of policies.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PolicyPage)]
pub struct Page {
    /// The policies, each in its version in force.
    pub items: Vec<View>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Lists policies.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/policies", tag = "policies", params(Parameters),
    responses(
        (status = 200, description = "Policies by name", body = Page),
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
    let filters = canonical::write(&json!(["policies", asked.kind, asked.layer, asked.status]));
    let list = page::List::new(caller.scope.tenant(), &filters);
    let position = list.position(asked.cursor.as_deref())?;
    let filter = Filter {
        kind: asked.kind,
        layer: asked.layer,
        status: asked.status,
        after: position.and_then(|text| serde_json::from_str(&text).ok()),
        limit: i64::from(size) + 1,
    };
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_READ, "any").await?;
    let mut found = policies::fetch_page(&mut desk.tx, &filter).await.or_problem()?;
    desk.close().await?;
    let next_cursor =
        page::cut(&mut found, size).map(|last| list.cursor(&json!([last.document.name, last.id]).to_string()));
    Ok(Json(Page {
        next_cursor,
        items: found.into_iter().map(View::from).collect(),
    }))
}
