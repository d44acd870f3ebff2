//! What a caller is told about an error, and how its body is written.

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Code;

/// One field that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body, or the name of a header or parameter.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where in a text of many lines, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column there, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// An error as the client reads it (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct Body {
    /// Always `about:blank`.
    pub r#type: String,
    /// What kind of problem it is, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// What kind of problem it is, for programs.
    pub code: String,
    /// The same request may succeed later; Retry-After says when.
    pub retryable: bool,
    /// The request's id, as the service's log has it.
    pub request_id: String,
    /// The fields that do not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// A sentence about this occurrence, for the caller.
    pub detail: String,
    /// The fields that do not fit.
    pub errors: Vec<FieldError>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Problem {
    /// Makes a problem with a sentence for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after = code.is_retryable().then_some(1);
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after,
            cause: None,
        }
    }

    /// Makes the problem of a field that does not fit.
    pub fn field(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldError {
            pointer: pointer.into(),
            message: message.clone(),
            line: None,
            column: None,
        };
        Self {
            errors: vec![error],
            ..Self::new(code, message)
        }
    }

    /// Makes a problem whose cause is logged and not shown.
    pub fn hiding(code: Code, detail: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            text = format!("{text}: {source}");
            next = source.source();
        }
        Self {
            cause: Some(text),
            ..Self::new(code, detail)
        }
    }

    /// Makes the problem of a database error: a text that PostgreSQL cannot hold, away, or our fault.
    #[must_use]
    pub fn database(error: &sqlx::Error) -> Self {
        if is_unstorable(error) {
            Self::hiding(
                Code::InvalidBody,
                "a text has a character that cannot be stored, such as NUL",
                error,
            )
        } else if crate::db::is_unavailable(error) {
            Self::hiding(Code::Unavailable, "the database does not answer; try again soon", error)
        } else {
            Self::hiding(Code::Internal, "the request could not be served", error)
        }
    }

    /// Makes the problem of a body that could not be read.
    #[must_use]
    pub fn unread(rejection: &BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::new(Code::PayloadTooLarge, "the body is larger than this endpoint takes")
        } else {
            Self::new(Code::MalformedJson, "the body could not be read to its end")
        }
    }

    /// Writes the response. `request_id` is in the body, so that a report can be found in the log.
    pub(crate) fn render(&self, request_id: &str, instance: &str) -> Response {
        let (code, status, title) = self.code.parts();
        let body = Body {
            r#type: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            code: code.to_owned(),
            retryable: self.code.is_retryable(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<crate::db::Error> for Problem {
    fn from(error: crate::db::Error) -> Self {
        Self::database(&error.into_source())
    }
}

/// Tells whether PostgreSQL refused the characters of a text: `character_not_in_repertoire`, or `untranslatable_character`,
/// which a `\\u0000` in JSON is.
fn is_unstorable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["22021", "22P05"].contains(&code.as_ref()))
}

impl IntoResponse for Problem {
    /// Leaves the body to the layer that knows the request id.
    fn into_response(self) -> Response {
        let (_, status, _) = self.code.parts();
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
