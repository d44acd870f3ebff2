//! `GET /api/v1/approval`: the tenant's requests, newest first.

use axum::Json;
use axum::extract::State as Shared;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::Problem;

use crate::admission::Admitted;
use crate::approval::Status;
use crate::approval::rules::Risk;
use crate::canonical;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::approvals::{Filter, Stored, fetch_page};

/// How many entries a page has.
const SIZE: page::Size = page::Size { usual: 50, most: 100 };

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Only with this status.
    #[param(inline)]
    pub status: Option<Status>,
    /// Only the caller's own.
    #[serde(default)]
    pub mine: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many, 1 to 100; 50 unless said.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApprovalPage)]
pub struct Page {
    /// The requests.
    pub items: Vec<Summary>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A request without its payload and votes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: Uuid,
    /// Its number in the tenant.
    pub request_number: String,
    /// What it is about.
    pub request_type: String,
    /// Its title.
    pub title: String,
    /// How much harm it can do.
    pub risk_level: Risk,
    /// What has become of it.
    pub status: Status,
    /// The human behind it.
    pub requester: String,
    /// The hash of its payload.
    pub payload_hash: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its time is over.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl From<Stored> for Summary {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id,
            request_number: stored.number,
            request_type: stored.request_type,
            title: stored.title,
            risk_level: stored.risk,
            status: stored.core.status,
            requester: stored.core.requester,
            payload_hash: stored.core.payload.hash,
            created_at: stored.created_at,
            expires_at: stored.core.expires_at,
        }
    }
}

/// Lists requests.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/approval", tag = "approval", params(Parameters),
    responses(
        (status = 200, description = "Requests, newest first", body = Page),
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
    let human = caller.on_behalf_of.as_ref().unwrap_or(&caller.subject);
    let requester = asked.mine.then(|| human.clone());
    let filters = canonical::write(&json!(["approval", asked.status, requester]));
    let list = page::List::new(caller.scope.tenant(), &filters);
    let position = list.position(asked.cursor.as_deref())?;
    let filter = Filter {
        status: asked.status,
        requester,
        before: position.and_then(|text| serde_json::from_str(&text).ok()),
        limit: i64::from(size) + 1,
    };
    let mut desk = Admitted::open(&state, &caller, origin, action::APPROVAL_READ, "any").await?;
    let mut found = fetch_page(&mut desk.tx, &filter).await.or_problem()?;
    desk.close().await?;
    let next_cursor =
        page::cut(&mut found, size).map(|last| list.cursor(&json!([last.created_at, last.id]).to_string()));
    Ok(Json(Page {
        next_cursor,
        items: found.into_iter().map(Summary::from).collect(),
    }))
}
