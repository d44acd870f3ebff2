//! `POST /api/v1/knowledge/search`: finds items by their words.

use std::collections::BTreeMap;

use axum::Json as Reply;
use axum::extract::State as Shared;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::http::extract::Json;
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};

use crate::by::By;
use crate::item::{Kind, Layer, Status};
use crate::path::{LONGEST, compose};
use crate::query;
use crate::state::State;
use crate::store::{self, Hit, RANKED, Search};

/// What to search for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SearchRequest)]
pub struct Request {
    /// Words in any of their forms, `"exact words"`, beginnings (`polic*`), and what must not be there (`-draft`); at most
    /// 4096 bytes.
    pub query: String,
    /// Which words must be there.
    #[serde(default)]
    pub mode: Mode,
    /// Only these layers.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Only these kinds.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Only these statuses; accepted and proposed if nothing is said.
    #[serde(default = "default_status")]
    pub status: Vec<Status>,
    /// Only items with all of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only paths that begin so.
    #[serde(default)]
    pub path_prefix: String,
    /// Only items changed since.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_after: Option<Timestamp>,
    /// At most so many, 1 to 100.
    #[serde(default = "default_limit")]
    pub limit: u16,
    /// Go on from here; the question must be the same.
    pub cursor: Option<String>,
    /// Count what matches by kind, layer and status.
    #[serde(default)]
    pub facets: bool,
}

/// Which words must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All.
    #[default]
    All,
    /// Any.
    Any,
}

fn default_status() -> Vec<Status> {
    vec![Status::Accepted, Status::Proposed]
}

fn default_limit() -> u16 {
    10
}

/// An item found.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its layer.
    pub layer: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: i64,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// How well it matches; comparable within one answer only.
    pub score: f32,
    /// A piece of its text.
    pub snippet: String,
    /// Where the words stand in the snippet: begin and end, in characters.
    pub highlights: Vec<[usize; 2]>,
}

/// How many items match, by what they are.
pub type Facets = BTreeMap<String, BTreeMap<String, i64>>;

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SearchResponse)]
pub struct Response {
    /// Best first.
    pub items: Vec<Found>,
    /// How many items match; where the tenant has policies of its own, how many are on this page.
    pub total: i64,
    /// Of all that `total` counts: by kind, layer and status, each value and how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
    /// More match than are ranked: of 2000 that were changed last, these are the best. Not told where the tenant has policies
    /// of its own.
    pub partly_ranked: bool,
    /// Where to go on; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Hits that are looked at together where policies have hidden some.
const LOOKED_AT: i32 = 100;

/// Searches items: titles before tags before text.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/knowledge/search", tag = "knowledge", request_body = Request,
    responses(
        (status = 200, description = "What was found", body = Response),
        (status = 400, description = "The cursor belongs to another question"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn search(
    by: By,
    Shared(state): Shared<State>,
    Json(mut request): Json<Request>,
) -> Result<Reply<Response>, Problem> {
    let started = Instant::now();
    let cursor = request.cursor.take();
    // The page may change its size; everything else is the question.
    let limit = std::mem::replace(&mut request.limit, 0);
    let question = serde_json::to_string(&request)
        .map_err(|error| Problem::hiding(Code::Internal, "the question could not be remembered", &error))?;
    let mut search = check(&request, limit)?;
    let pages = page::List::new(by.scope.tenant(), &format!("search {question}"));
    search.after = pages
        .position(cursor.as_deref())?
        .map(|place| read_place(&place))
        .transpose()?;
    let is_selective = by.judge.is_selective();
    let mut found = if is_selective {
        visible(&state, &by, search, limit).await
    } else {
        store::search(&state.pool, &by.scope, &by.rights, &search).await
    }
    .map_err(|error| Problem::database(&error))?;
    let next_cursor = page::cut(&mut found.hits, limit).map(|hit| pages.cursor(&place(hit)));
    if is_selective {
        count(&mut found);
    }
    let mut facets = Facets::new();
    for (facet, value, count) in found.facets {
        *facets.entry(facet).or_default().entry(value).or_default() += count;
    }
    Ok(Reply(Response {
        items: found.hits.into_iter().map(show).collect(),
        total: found.total,
        facets: request.facets.then_some(facets),
        partly_ranked: found.total > i64::from(RANKED),
        next_cursor,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Searches for what the policies let the caller see: one more than asked for, if there is more. It goes on until that is
/// found: a page that ended at something hidden would tell of it by its cursor, word by word.
async fn visible(state: &State, by: &By, mut search: Search, limit: u16) -> sqlx::Result<store::Found> {
    // They are counted when it is known what is shown.
    search.facets = false;
    let mut seen = store::Found::default();
    loop {
        let found = store::search(&state.pool, &by.scope, &by.rights, &search).await?;
        let is_end = i32::try_from(found.hits.len()).is_ok_and(|many| many < search.limit);
        search.after = found.hits.last().map(|hit| (hit.score, hit.id));
        let may_see = |hit: &Hit| by.may_find(&hit.path, [&hit.kind, &hit.layer, &hit.status]);
        seen.hits.extend(found.hits.into_iter().filter(may_see));
        if is_end || seen.hits.len() > usize::from(limit) {
            return Ok(seen);
        }
        search.limit = search.limit.max(LOOKED_AT);
    }
}

/// Counts what is shown, where policies hide some of what matches: a number of all would tell of it.
fn count(found: &mut store::Found) {
    found.total = i64::try_from(found.hits.len()).unwrap_or(i64::MAX);
    let facets = |hit: &Hit| {
        [("kind", &hit.kind), ("layer", &hit.layer), ("status", &hit.status)]
            .map(|(facet, value)| (facet.to_owned(), value.clone(), 1))
    };
    found.facets = found.hits.iter().flat_map(facets).collect();
}

fn check(request: &Request, limit: u16) -> Result<Search, Problem> {
    let refused = |pointer: &str, message: String| Problem::field(Code::InvalidBody, pointer, message);
    let query = query::parse(&request.query).map_err(|error| refused("/query", error.to_string()))?;
    if !(1..=100).contains(&limit) {
        return Err(refused("/limit", "limit is 1 to 100".to_owned()));
    }
    if request.tags.len() > 64 || request.tags.iter().any(|tag| tag.contains('\0')) {
        return Err(refused("/tags", "at most 64 tags, without NUL".to_owned()));
    }
    if request.path_prefix.len() > LONGEST || request.path_prefix.contains('\0') {
        return Err(refused(
            "/pathPrefix",
            format!("a path has at most {LONGEST} bytes, and no NUL"),
        ));
    }
    Ok(Search {
        query,
        any: request.mode == Mode::Any,
        layers: request.layers.iter().map(|layer| layer.as_str().to_owned()).collect(),
        kinds: request.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        statuses: request.status.iter().map(|status| status.as_str().to_owned()).collect(),
        tags: request.tags.clone(),
        prefix: compose(&request.path_prefix),
        since: request.updated_after,
        after: None,
        // One more tells whether there is more.
        limit: i32::from(limit) + 1,
        facets: request.facets,
    })
}

/// The bits of a score are exact; its decimal form need not be.
fn place(hit: &Hit) -> String {
    format!("{} {}", hit.score.to_bits(), hit.id)
}

fn read_place(place: &str) -> Result<(f32, Uuid), Problem> {
    let read = || {
        let (score, id) = place.split_once(' ')?;
        Some((f32::from_bits(score.parse().ok()?), id.parse().ok()?))
    };
    read().ok_or_else(|| Problem::field(Code::InvalidCursor, "/cursor", "the cursor names no place"))
}

fn show(hit: Hit) -> Found {
    let (snippet, highlights) = unmark(&hit.snippet);
    Found {
        path: hit.path,
        title: hit.title,
        kind: hit.kind,
        layer: hit.layer,
        status: hit.status,
        version: hit.version,
        updated_at: hit.updated_at,
        score: hit.score,
        snippet,
        highlights,
    }
}

/// Takes the marks out of a snippet, and says where they were.
fn unmark(marked: &str) -> (String, Vec<[usize; 2]>) {
    let (mut text, mut at, mut begin, mut places) = (String::with_capacity(marked.len()), 0, 0, Vec::new());
    for c in marked.chars() {
        match c {
            '\u{e000}' => begin = at,
            '\u{e001}' => places.push([begin, at]),
            c => {
                text.push(c);
                at += 1;
            }
        }
    }
    (text, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highlights_are_counted_in_characters() {
        let (text, places) = unmark("ä \u{e000}retry\u{e001} or \u{e000}fail\u{e001}");
        assert_eq!((text.as_str(), places), ("ä retry or fail", vec![[2, 7], [11, 15]]));
    }
}
