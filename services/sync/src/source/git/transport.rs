//! Git's smart HTTP through our own client: every request is guarded, counted and can be given up.
//!
//! The library speaks the protocol and knows nothing of the network. It calls from a thread that may wait; what goes wrong is
//! kept as our own failure beside the error that it is told.

use std::io::{BufReader, Cursor, Error, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Handle;

use crate::job::{Class, Failure};
use crate::outbound::{self, Ask, Outbound};

/// What a fetch may use, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Web {
    pub runtime: Handle,
    pub outbound: Outbound,
    /// The repository.
    pub url: Url,
    /// What proves who asks; for the origin of the repository alone.
    pub authorization: Option<HeaderValue>,
    /// Bytes that may still arrive.
    pub left: Arc<Mutex<u64>>,
    /// Why the fetch failed, where it was the network.
    pub failure: Arc<Mutex<Option<Failure>>>,
    /// Where the repository moved to.
    pub moved: Option<String>,
}

impl Web {
    /// Returns why the fetch failed, if it was the network.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, failure: Failure) -> Error {
        let error = Error::other(failure.to_string());
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
        error
    }

    fn ask(&self, method: Method, url: &str, headers: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Ask, Error> {
        let strange = |message: &str| self.fail(Failure::new(Class::Config, "SOURCE_STRANGE", message));
        let url = outbound::parse_url(url).map_err(strange)?;
        let mut map = HeaderMap::new();
        for line in headers {
            let (name, value) = line
                .as_ref()
                .split_once(':')
                .ok_or_else(|| strange("a header without a name"))?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| strange("a header of a strange name"))?;
            let value = HeaderValue::try_from(value.trim()).map_err(|_| strange("a header of a strange value"))?;
            map.insert(name, value);
        }
        Ok(Ask {
            method,
            authorization: self.authorization.clone().filter(|_| url.origin() == self.url.origin()),
            headers: map,
            ..Ask::get(url)
        })
    }

    /// Sends a request; returns where the answer came from, and the answer.
    fn send(&self, ask: Ask) -> Result<(Url, Response), Error> {
        let (from, response) = self
            .runtime
            .block_on(self.outbound.ask(ask))
            .map_err(|failure| self.fail(failure))?;
        if response.status() == StatusCode::OK {
            Ok((from, response))
        } else {
            Err(self.fail(outbound::refused(&from, response.status(), response.headers())))
        }
    }
}

/// A request that is sent when its answer is read: by then its body is written.
#[derive(Debug)]
pub(super) struct Exchange {
    web: Web,
    ask: Option<Ask>,
    answer: Option<(Url, Response)>,
    chunk: Cursor<bytes::Bytes>,
}

type Shared = Arc<Mutex<Exchange>>;

impl Exchange {
    fn answer(&mut self) -> Result<(&Url, &mut Response), Error> {
        if let Some(ask) = self.ask.take() {
            self.answer = Some(self.web.send(ask)?);
        }
        let answer = self.answer.as_mut();
        answer
            .map(|(url, response)| (&*url, response))
            .ok_or_else(|| Error::other("the request failed before"))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        loop {
            let count = self.chunk.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let web = self.web.clone();
            let (url, response) = self.answer()?;
            let chunk = web.runtime.block_on(response.chunk());
            let Some(chunk) = chunk.map_err(|error| web.fail(outbound::away(url, &error)))? else {
                return Ok(0);
            };
            let mut left = web.left.lock().unwrap_or_else(PoisonError::into_inner);
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            *left = left.checked_sub(length).ok_or_else(|| {
                let message = "the repository is larger than the run may read";
                web.fail(Failure::new(Class::Data, "TOO_MANY_BYTES", message))
            })?;
            self.chunk = Cursor::new(chunk);
        }
    }
}

/// The content type of an answer, as a line.
pub(super) struct Headers {
    exchange: Shared,
    lines: Option<Cursor<String>>,
}

impl Read for Headers {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        if self.lines.is_none() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, response) = exchange.answer()?;
            let kind = response.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            self.lines = Some(Cursor::new(format!("content-type: {kind}\n")));
        }
        self.lines.as_mut().map_or(Ok(0), |lines| lines.read(into))
    }
}

/// The body of an answer.
pub(super) struct Body(Shared);

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(into)
    }
}

/// The body of a request.
pub(super) struct Posted(Shared);

impl Write for Posted {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ask) = exchange.ask.as_mut() {
            ask.body.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn open(exchange: Exchange) -> (Shared, BufReader<Headers>, BufReader<Body>) {
    let exchange = Arc::new(Mutex::new(exchange));
    let headers = Headers {
        exchange: Arc::clone(&exchange),
        lines: None,
    };
    let body = Body(Arc::clone(&exchange));
    (exchange, BufReader::new(headers), BufReader::new(body))
}

impl Http for Web {
    type Headers = BufReader<Headers>;
    type ResponseBody = BufReader<Body>;
    type PostBody = Posted;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let ask = self.ask(Method::GET, url, headers).map_err(gix::Error::from_error)?;
        let (from, response) = self.send(ask).map_err(gix::Error::from_error)?;
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        if from.as_str() != url {
            let moved = from.as_str().strip_suffix(tail).ok_or_else(|| {
                let message = "the repository redirects to something else than a repository";
                gix::Error::from_error(self.fail(Failure::new(Class::Config, "SOURCE_REDIRECTS", message)))
            })?;
            self.moved = Some(moved.to_owned());
        }
        let (_, headers, body) = open(Exchange {
            web: self.clone(),
            ask: None,
            answer: Some((from, response)),
            chunk: Cursor::default(),
        });
        Ok(GetResponse { headers, body })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let ask = self.ask(Method::POST, url, headers).map_err(gix::Error::from_error)?;
        let (exchange, headers, body) = open(Exchange {
            web: self.clone(),
            ask: Some(ask),
            answer: None,
            chunk: Cursor::default(),
        });
        Ok(PostResponse {
            post_body: Posted(exchange),
            headers,
            body,
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}
