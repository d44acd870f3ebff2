//! `PUT /api/v1/knowledge/{path}`: writes an item, new or as its next version.

use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;

use aeterna_kit::http::extract::Path;
use aeterna_kit::problem::{Code, Problem};

use super::body::{Body, Document};
use super::create::{Stored, respond};
use super::tag::demanded;
use crate::by::By;
use crate::item::draft::Draft;
use crate::path::ItemPath;
use crate::routes::refusal::path_problem;
use crate::state::State;
use crate::store::{self, Next, Wanted};

/// Writes an item: a new one, or the next version of the one that If-Match names. The same content again changes nothing.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    put, path = "/api/v1/knowledge/{*path}", tag = "knowledge",
    params(
        ("path" = String, Path, description = "The item's path; slashes are part of it"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the version to change, or *; needed where an item is"),
        ("If-None-Match" = Option<String>, Header, description = "* writes only where nothing is"),
    ),
    request_body(content((Body = "application/json"), (String = "text/markdown"))),
    responses(
        (status = 201, description = "Stored", body = Stored),
        (status = 200, description = "Changed, or unchanged because it said this before", body = Stored),
        (status = 400, description = "The request names no tenant, is not JSON, or a header does not fit"),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this"),
        (status = 404, description = "If-Match, and nothing is there"),
        (status = 409, description = "What was accepted does not change, or the life of an item does not go there"),
        (status = 412, description = "The item is at another version"),
        (status = 413, description = "The body is larger than 1 MiB"),
        (status = 422, description = "The path, a field, the front matter or a section does not fit"),
        (status = 428, description = "An item is there: say with If-Match which version is meant"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn put(
    by: By,
    Shared(state): Shared<State>,
    Path(path): Path<String>,
    headers: HeaderMap,
    document: Document,
) -> Result<Response, Problem> {
    let path = ItemPath::parse(&path).map_err(|error| path_problem("path", &error))?;
    let (draft, message) = match document {
        Document::Markdown(text) => (Draft::new(text), None),
        Document::Json(body) => {
            let (named, draft, message) = body.split()?;
            if named.is_some_and(|named| named != path) {
                let message = "the path of the body is not the one of the URL";
                return Err(Problem::field(Code::InvalidPath, "/path", message));
            }
            (draft, message)
        }
    };
    let wanted = Wanted {
        path,
        next: Next::Draft(Box::new(draft)),
        demanded: demanded(&headers)?,
        message,
    };
    let written = store::put(&state.pool, &by, wanted).await?;
    respond(&state, &by, written).await
}
