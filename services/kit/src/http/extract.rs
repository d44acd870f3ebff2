//! Extractors whose rejections are problems.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// A JSON body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::unread(&rejection))?;
        parse(&body).map(Self)
    }
}

fn require_json(request: &Request) -> Result<(), Problem> {
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::field(
        Code::UnsupportedMediaType,
        "Content-Type",
        "send the body as application/json",
    ))
}

/// Reads a body; tells apart bytes that are no text, text that is no JSON, and JSON that does not fit.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::new(
            Code::InvalidUtf8,
            format!("the body is not UTF-8 from byte {} on", error.valid_up_to()),
        )
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Problem::field(Code::InvalidBody, pointer, strip_place(&inner.to_string()))
        } else {
            Problem::new(Code::MalformedJson, format!("the body is not JSON: {inner}"))
        }
    })?;
    reader
        .end()
        .map_err(|error| Problem::new(Code::MalformedJson, format!("the body is not JSON: {error}")))?;
    Ok(value)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                format!("/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// Line and column of a machine's JSON help nobody; the pointer does.
fn strip_place(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text)
        .to_owned()
}

/// Parameters of the path.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| Problem::new(Code::InvalidParameter, rejection.body_text()))
    }
}

/// Parameters of the query.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| Problem::new(Code::InvalidParameter, rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        list: Vec<u8>,
    }

    fn refused(body: &[u8]) -> Problem {
        parse::<Body>(body).expect_err("refused")
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_by_its_pointer() {
        let problem = refused(br#"{"list": [1, "x"]}"#);
        assert_eq!(problem.code, Code::InvalidBody);
        assert_eq!(
            problem.errors.first().map(|error| error.pointer.as_str()),
            Some("/list/1")
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_its_name() {
        let problem = refused(br#"{"list": [], "lisst": 1}"#);
        assert_eq!(problem.code, Code::InvalidBody);
        assert!(problem.detail.contains("lisst"), "{}", problem.detail);
    }

    #[test]
    fn text_that_is_no_json_and_bytes_that_are_no_text_are_told_apart() {
        assert_eq!(refused(b"{").code, Code::MalformedJson);
        assert_eq!(refused(br#"{"list": []} x"#).code, Code::MalformedJson);
        assert_eq!(refused(&[b'"', 0xff, b'"']).code, Code::InvalidUtf8);
    }
}
