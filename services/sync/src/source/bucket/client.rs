//! The library's requests through our own client.
//!
//! What a status means for the whole run is kept as our own failure beside the error that the library is told. What is about
//! one object is handed to it: 403 and 404 of anything but a list.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::header::{self, HeaderValue};
use reqwest::{Response, StatusCode, Url};

use super::keys::Odd;
use crate::job::{Class, Failure};
use crate::outbound::{self, Ask, Outbound};

/// Longest answer, in bytes: a page of a thousand keys of the longest kind, or an object that is too large.
const LONGEST: u64 = 8 << 20;

/// Why the run stops, where it was the network or the status.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Option<Failure>>>);

impl Kept {
    /// Returns the failure, and forgets it.
    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, failure: Failure) -> HttpError {
        let error = HttpError::new(HttpErrorKind::Unknown, failure.clone());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
        error
    }
}

/// Gives the library our client.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    outbound: Outbound,
    kept: Kept,
    odd: Odd,
}

impl Connector {
    pub(super) fn new(outbound: Outbound, kept: Kept, odd: Odd) -> Self {
        Self { outbound, kept, odd }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let (parts, _) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| Failure::new(Class::Config, "SOURCE_NOT_FOUND", "the endpoint is not a URL"))?;
        let is_list = url.query().is_some_and(|query| query.contains("list-type=2"));
        let mut headers = parts.headers;
        // A signature goes to the origin that it was made for; our client sees to that.
        let authorization = headers.remove(header::AUTHORIZATION);
        let ask = Ask {
            method: parts.method,
            headers,
            authorization,
            ..Ask::get(url)
        };
        let (from, response) = self.outbound.ask(ask).await?;
        let status = response.status();
        let is_about_one = !is_list && matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        if !status.is_success() && !is_about_one {
            return Err(refused(&from, response).await);
        }
        let mut head = http::Response::builder().status(status);
        for (name, value) in response.headers() {
            head = head.header(name, value);
        }
        let mut body = outbound::read(&from, response, LONGEST).await?;
        if is_list {
            body = self.odd.sift(body);
        }
        let length = HeaderValue::from(body.len());
        let mut answer = head.body(HttpResponseBody::from(body)).map_err(|_| {
            let message = "the bucket answers with headers that are none";
            Failure::new(Class::Data, "ANSWER_UNREADABLE", message)
        })?;
        // Of what it is when it is unpacked.
        answer.headers_mut().remove(header::CONTENT_ENCODING);
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        Ok(answer)
    }
}

/// Tells what a status means; S3 asks for a pause by a 503 that says so.
async fn refused(from: &Url, response: Response) -> Failure {
    let (status, headers) = (response.status(), response.headers().clone());
    let failure = outbound::refused(from, status, &headers);
    let said = match status {
        StatusCode::SERVICE_UNAVAILABLE => outbound::read(from, response, LONGEST).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    if String::from_utf8_lossy(&said).contains("<Code>SlowDown</Code>") {
        let message = format!("{} asked for a pause", outbound::place(from));
        return Failure {
            class: Class::RateLimited,
            code: "SOURCE_RATE_LIMITED",
            message,
            ..failure
        };
    }
    failure
}

impl HttpService for Connector {
    fn call<'life, 'result>(
        &'life self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'result>>
    where
        'life: 'result,
        Self: 'result,
    {
        Box::pin(async move { self.ask(request).await.map_err(|failure| self.kept.keep(failure)) })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
