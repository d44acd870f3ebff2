//! `POST /api/v1/knowledge`: stores a new item.

use axum::Json as Reply;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use super::body::Body;
use super::successor;
use super::tag::{Form, etag};
use crate::by::By;
use crate::item::Item;
use crate::item::change::Precondition;
use crate::state::State;
use crate::store::{self, Next, Outcome, Wanted, Written};

/// An item, and what writing it did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// The item.
    #[serde(flatten)]
    pub item: Item,
    /// It said this before.
    pub unchanged: bool,
}

/// Stores a new item. The same item again is returned as it is.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/knowledge", tag = "knowledge", request_body = Body,
    responses(
        (status = 201, description = "Stored", body = Stored),
        (status = 200, description = "It was there before, and says the same", body = Stored),
        (status = 400, description = "The request names no tenant, or is not JSON"),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this"),
        (status = 409, description = "The path holds another item, or one is in its way"),
        (status = 413, description = "The body is larger than 1 MiB"),
        (status = 422, description = "The path, a field, the front matter or a section does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn create(by: By, Shared(state): Shared<State>, Json(body): Json<Body>) -> Result<Response, Problem> {
    let (path, draft, message) = body.split()?;
    let path = path.ok_or_else(|| Problem::field(Code::InvalidPath, "/path", "say where the item shall be"))?;
    let wanted = Wanted {
        path,
        next: Next::Draft(Box::new(draft)),
        demanded: Precondition::Absent,
        message,
    };
    let written = store::put(&state.pool, &by, wanted).await?;
    respond(&state, &by, written).await
}

/// Answers a write.
///
/// # Errors
/// When the database does not answer; the write is done then.
pub(crate) async fn respond(state: &State, by: &By, written: Written) -> Result<Response, Problem> {
    let shown = successor::hide(&state.pool, by, written.stored).await?;
    let status = match written.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Changed | Outcome::Unchanged => StatusCode::OK,
    };
    let headers = [
        (header::ETAG, etag(shown.version, Form::Json)),
        (header::LOCATION, location(&shown.path)),
    ];
    let stored = Stored {
        item: Item::from(shown),
        unchanged: written.outcome == Outcome::Unchanged,
    };
    Ok((status, headers, Reply(stored)).into_response())
}

/// Returns where an item is read, as a URL's path.
pub(crate) fn location(path: &str) -> String {
    use std::fmt::Write as _;
    let mut url = "/api/v1/knowledge/".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
