//! An item as callers send it: JSON, or a Markdown file.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use crate::item::draft::Draft;
use crate::item::{Kind, Layer, Severity, Status};
use crate::path::ItemPath;
use crate::routes::refusal::path_problem;

/// Longest message about a change, in bytes.
const MESSAGE: usize = 1024;

/// An item to write. What a field does not say, the front matter of the content may; what that does not say either, the path
/// suggests: `teams/blue/adrs/1.md` is an adr of the layer team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Body {
    /// Where it is: segments with slashes between, at most 1024 bytes.
    pub path: Option<String>,
    /// Markdown, with or without front matter, 1 byte to 256 KiB.
    pub content: String,
    /// What it is.
    pub kind: Option<Kind>,
    /// Whom it speaks to.
    pub layer: Option<Layer>,
    /// Where it is in its life; a new item is a draft, an old one stays what it is.
    pub status: Option<Status>,
    /// How much it matters that it is followed; info if nothing says more.
    pub severity: Option<Severity>,
    /// A line; else the first heading, or the file's name.
    pub title: Option<String>,
    /// A sentence or two.
    pub summary: Option<String>,
    /// Labels to search by, at most 64 of 128 bytes.
    pub tags: Option<Vec<String>>,
    /// The path of the item that this one takes the place of once it is accepted.
    pub supersedes: Option<String>,
    /// Anything else, at most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// What to say about this change in the history.
    pub message: Option<String>,
}

impl Body {
    /// Takes the path and the message out of it.
    ///
    /// # Errors
    /// [`Code::InvalidPath`], [`Code::InvalidBody`].
    pub fn split(self) -> Result<(Option<ItemPath>, Draft, Option<String>), Problem> {
        let path = self.path.as_deref().map(ItemPath::parse).transpose();
        let path = path.map_err(|error| path_problem("/path", &error))?;
        if self
            .message
            .as_ref()
            .is_some_and(|text| text.len() > MESSAGE || text.contains('\0'))
        {
            let message = format!("a message has at most {MESSAGE} bytes, and no NUL");
            return Err(Problem::field(Code::InvalidBody, "/message", message));
        }
        let draft = Draft {
            content: self.content,
            title: self.title,
            kind: self.kind,
            layer: self.layer,
            status: self.status,
            severity: self.severity,
            summary: self.summary,
            tags: self.tags,
            supersedes: self.supersedes,
            metadata: self.metadata,
        };
        Ok((path, draft, self.message))
    }
}

/// A body of either form.
#[derive(Debug)]
pub enum Document {
    /// `application/json`.
    Json(Box<Body>),
    /// `text/markdown`: the file, all of it.
    Markdown(String),
}

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_markdown = kind.is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/markdown")
        });
        if !is_markdown {
            let Json(body) = Json::from_request(request, state).await?;
            return Ok(Self::Json(Box::new(body)));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::new(Code::PayloadTooLarge, "the body is larger than this endpoint takes"))?;
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|error| Problem::hiding(Code::InvalidUtf8, "the body is not UTF-8", &error))?;
        Ok(Self::Markdown(text))
    }
}
