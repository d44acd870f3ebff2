//! `GET /api/v1/audit`: what has happened, newest first. Reading it is an event as well.

use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::auth::Caller;
use aeterna_kit::hex::hex;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::text::is_line;

use crate::admission::Admitted;
use crate::audit::chain::Link;
use crate::audit::{Outcome, csv, spell_time};
use crate::canonical;
use crate::origin::{Origin, Via};
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::audit::{Filter, fetch_head, fetch_page};

/// Most events of one answer.
const SIZE: page::Size = page::Size {
    usual: 100,
    most: 1_000,
};

/// Longest filter, in bytes.
const LONGEST: usize = 512;

/// The next cursor of formats that have no place for it.
static NEXT: HeaderName = HeaderName::from_static("x-next-cursor");

/// Which events, and how they are written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Only this action: `policy.create`.
    pub action: Option<String>,
    /// Only of this subject.
    pub actor: Option<String>,
    /// Only of agents that acted for this human.
    pub on_behalf_of: Option<String>,
    /// Only about this kind of thing.
    pub target_type: Option<String>,
    /// Only about this thing.
    pub target_id: Option<String>,
    /// Only of this request.
    pub request_id: Option<String>,
    /// Only by this kind of client.
    #[param(inline)]
    pub via: Option<Via>,
    /// Only with this outcome.
    #[param(inline)]
    pub outcome: Option<Outcome>,
    /// Not before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many, 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// How they are written.
    #[serde(default)]
    #[param(inline)]
    pub format: Format,
}

/// How events are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object.
    #[default]
    Json,
    /// A JSON object a line; the next cursor is in the header X-Next-Cursor.
    Ndjson,
    /// RFC 4180; the next cursor is in the header X-Next-Cursor.
    Csv,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditPage)]
pub struct Page {
    /// The events: seq, at, tenantId, actor, action, target, outcome, requestId, via, userAgent, decisionId, details,
    /// prevHash, hash. `canonical` is the text that was hashed.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Value>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The chain that they are of.
    pub chain: Chain,
}

/// Where the chain ends, before this reading of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// The number of the last event.
    pub head_seq: i64,
    /// Its hash.
    pub head_hash: String,
}

/// Returns what has happened.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(Parameters),
    responses(
        (status = 200, description = "Events, newest first", content(
            (Page = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
        (status = 400, description = "A parameter does not fit, or the cursor is of another list"),
        (status = 403, description = "The caller is no TechLead"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn list(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Query(asked): Query<Parameters>,
) -> Result<Response, Problem> {
    let tenant = caller.scope.tenant().as_str();
    let filters = describe(&asked);
    let list = page::List::new(caller.scope.tenant(), &canonical::write(&json!(filters)));
    let size = SIZE.check(asked.limit)?;
    let filter = Filter {
        equal: check(&asked)?,
        since: asked.since.map(spell_time),
        until: asked.until.map(spell_time),
        before: list.place(asked.cursor.as_deref())?,
        // One more than asked for tells whether there is a next page.
        limit: i64::from(size) + 1,
    };
    let mut desk = Admitted::open(&state, &caller, origin, action::AUDIT_READ, tenant).await?;
    let head = fetch_head(&mut desk.tx).await.or_problem()?;
    let mut links = fetch_page(&mut desk.tx, &filter).await.or_problem()?;
    let next_cursor = page::cut(&mut links, size).map(|last| list.cursor(&last.seq.to_string()));
    let mut details = filters;
    details.insert("count".to_owned(), json!(links.len()));
    details.insert("format".to_owned(), json!(asked.format));
    desk.note("audit.read", ("Audit", tenant), details).await?;
    desk.close().await?;
    let items: Vec<Value> = links.iter().map(show).collect();
    let chain = Chain {
        head_seq: head.seq,
        head_hash: hex(&head.hash),
    };
    Ok(respond(
        asked.format,
        Page {
            items,
            next_cursor,
            chain,
        },
    ))
}

/// The texts to filter by that were said: name, column and text.
fn said(asked: &Parameters) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
    let texts = [
        ("action", "action", asked.action.as_deref()),
        ("actor", "actor", asked.actor.as_deref()),
        ("onBehalfOf", "on_behalf_of", asked.on_behalf_of.as_deref()),
        ("targetType", "target_type", asked.target_type.as_deref()),
        ("targetId", "target_id", asked.target_id.as_deref()),
        ("requestId", "request_id", asked.request_id.as_deref()),
        ("via", "via", asked.via.map(Via::name)),
        ("outcome", "outcome", asked.outcome.map(Outcome::name)),
    ];
    texts
        .into_iter()
        .filter_map(|(name, column, text)| Some((name, column, text?)))
}

/// The filters that were set; they bind the cursor and are told to the log.
fn describe(asked: &Parameters) -> Map<String, Value> {
    let times = [("since", asked.since), ("until", asked.until)];
    let texts = said(asked).map(|(name, _, text)| (name.to_owned(), json!(text)));
    let times = times
        .into_iter()
        .filter_map(|(name, at)| Some((name.to_owned(), json!(spell_time(at?)))));
    texts.chain(times).collect()
}

/// Checks the texts to filter by; returns column and text.
fn check(asked: &Parameters) -> Result<Vec<(&'static str, String)>, Problem> {
    said(asked)
        .map(|(name, column, text)| {
            if is_line(text, LONGEST) {
                return Ok((column, text.to_owned()));
            }
            let message = "1 to 512 bytes without control characters";
            Err(Problem::field(Code::InvalidParameter, name, message))
        })
        .collect()
}

/// An event as callers see it: what was hashed, and the hash.
fn show(link: &Link) -> Value {
    let mut item: Value = serde_json::from_str(&link.canonical).unwrap_or_default();
    if let Some(fields) = item.as_object_mut() {
        fields.insert("hash".to_owned(), json!(hex(&link.hash)));
        fields.insert("canonical".to_owned(), json!(link.canonical));
    }
    item
}

fn respond(format: Format, page: Page) -> Response {
    let (kind, text) = match format {
        Format::Json => return axum::Json(page).into_response(),
        Format::Ndjson => {
            let lines: String = page.items.iter().map(|item| item.to_string() + "\n").collect();
            ("application/x-ndjson", lines)
        }
        Format::Csv => ("text/csv; charset=utf-8", csv::write(&page.items)),
    };
    let mut response = ([(CONTENT_TYPE, kind)], text).into_response();
    if let Some(next) = page.next_cursor.and_then(|next| HeaderValue::from_str(&next).ok()) {
        response.headers_mut().insert(NEXT.clone(), next);
    }
    response
}
