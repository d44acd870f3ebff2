//! Requests to places that callers name: feeds, repositories.
//!
//! Every hop is judged by [`guard`]: an address in a URL before the request, a name when it is resolved, and the addresses
//! that were judged are the ones that are connected to. Redirects are followed here, one by one, never from https to http,
//! and never with the credential to another origin. No proxy of the environment is used: it would resolve names unseen.

pub mod guard;
pub(crate) mod link;
mod resolve;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use crate::job::{Class, Failure};
use guard::Exemption;

/// Hops of one request.
const HOPS: usize = 5;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long nothing may arrive.
const SILENCE: Duration = Duration::from_secs(10);

/// How long one hop may take in all: a slow drip is cut off here.
const DEADLINE: Duration = Duration::from_mins(5);

/// Longest URL, in bytes.
pub const LONGEST_URL: usize = 2_048;

/// What asks.
#[derive(Debug, Clone)]
pub struct Outbound {
    http: reqwest::Client,
    exemptions: Arc<[Exemption]>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// GET, or POST with a body.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers that go to every hop.
    pub headers: HeaderMap,
    /// What proves who asks; goes to the origin of the URL and to no other.
    pub authorization: Option<HeaderValue>,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// Makes a GET.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: Vec::new(),
        }
    }
}

impl Outbound {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(exemptions: &[Exemption]) -> anyhow::Result<Self> {
        // The process has one TLS provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exemptions: Arc<[Exemption]> = exemptions.into();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("aeterna-sync/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolve::Guarded(Arc::clone(&exemptions))))
            .build()?;
        Ok(Self { http, exemptions })
    }

    /// Asks, and follows redirects; returns the answer and where it came from.
    ///
    /// # Errors
    /// When a hop leads where nothing may be asked, does not answer, or there are too many of them.
    pub async fn ask(&self, ask: Ask) -> Result<(Url, Response), Failure> {
        let (mut url, first) = (ask.url.clone(), ask.url.origin());
        for _ in 0..HOPS {
            self.refuse_forbidden(&url)?;
            let mut request = self
                .http
                .request(ask.method.clone(), url.clone())
                .headers(ask.headers.clone());
            if let Some(authorization) = ask.authorization.as_ref().filter(|_| url.origin() == first) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            if ask.method == Method::POST {
                request = request.body(ask.body.clone());
            }
            let response = request.send().await.map_err(|error| away(&url, &error))?;
            match next_hop(&url, &response)? {
                None => return Ok((url, response)),
                Some(next) => url = next,
            }
        }
        let message = format!("{} leads to more than {HOPS} redirects", place(&ask.url));
        Err(Failure::new(Class::Config, "SOURCE_REDIRECTS", message))
    }

    fn refuse_forbidden(&self, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().unwrap_or_default();
        if is_web(url) && !resolve::is_forbidden_address(&self.exemptions, host) {
            return Ok(());
        }
        Err(forbidden(url))
    }
}

/// Reads a URL that a caller names: http or https, a host, and no credential in it.
///
/// # Errors
/// A sentence about what does not fit.
pub fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST_URL || text.chars().any(char::is_control) {
        return Err("a URL has at most 2048 bytes, and no control characters");
    }
    let url = Url::parse(text).map_err(|_| "this is not a URL")?;
    if !is_web(&url) {
        return Err("a URL begins with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL holds no credential: name one by secretRef");
    }
    Ok(url)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())
}

fn next_hop(url: &Url, response: &Response) -> Result<Option<Url>, Failure> {
    let follows = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !follows.contains(&response.status()) {
        return Ok(None);
    }
    let strange = |why: &str| {
        let message = format!("{} redirects {why}", place(url));
        Failure::new(Class::Config, "SOURCE_REDIRECTS", message)
    };
    let location = response.headers().get(header::LOCATION);
    let next = location
        .and_then(|location| location.to_str().ok())
        .filter(|location| location.len() <= LONGEST_URL)
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| strange("to no place"))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(strange("from https to something else"));
    }
    Ok(Some(next))
}

/// Says where something is, without what a query may hold.
pub(crate) fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn forbidden(url: &Url) -> Failure {
    let message = format!(
        "{} is not a public address; whoever runs this service can allow it by SYNC_ALLOW_HOSTS",
        url.host_str().unwrap_or_default()
    );
    Failure::new(Class::Config, "SOURCE_FORBIDDEN", message)
}

/// Tells what it means that nothing, or not all, was answered.
pub(crate) fn away(url: &Url, error: &reqwest::Error) -> Failure {
    if resolve::is_forbidden(error) {
        return forbidden(url);
    }
    let how = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_body() || error.is_decode() {
        "broke off its answer"
    } else {
        "does not answer"
    };
    Failure::new(Class::Transient, "SOURCE_AWAY", format!("{} {how}", place(url)))
}

/// Makes the header that shows a secret as a bearer token.
///
/// # Errors
/// `SECRET_UNFIT` when it does not fit into a header.
pub(crate) fn bearer(secret: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {secret}"))
        .map_err(|_| Failure::new(Class::Config, "SECRET_UNFIT", "the secret does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads an answer to its end; one that is longer than `most` is refused, also when it says so only once it is unpacked.
///
/// # Errors
/// When it breaks off, is too long, or cannot be unpacked.
pub(crate) async fn read(url: &Url, mut response: Response, most: u64) -> Result<Vec<u8>, Failure> {
    let too_long = || {
        let message = format!("{} answers with more than {most} bytes", place(url));
        Failure::new(Class::Data, "ANSWER_TOO_LARGE", message)
    };
    let packed = response.headers().get(header::CONTENT_ENCODING).cloned();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(url, &error))? {
        bytes.extend_from_slice(&chunk);
        if is_longer(&bytes, most) {
            return Err(too_long());
        }
    }
    match packed.as_ref().map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => {
            let mut unpacked = Vec::new();
            let mut reader = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(most.saturating_add(1));
            reader.read_to_end(&mut unpacked).map_err(|_| {
                let message = format!("{} answers with gzip that cannot be unpacked", place(url));
                Failure::new(Class::Data, "ANSWER_UNREADABLE", message)
            })?;
            if is_longer(&unpacked, most) {
                return Err(too_long());
            }
            Ok(unpacked)
        }
        Some(_) => {
            let message = format!("{} answers in an encoding that was not asked for", place(url));
            Err(Failure::new(Class::Data, "ANSWER_UNREADABLE", message))
        }
    }
}

fn is_longer(bytes: &[u8], most: u64) -> bool {
    u64::try_from(bytes.len()).is_ok_and(|length| length > most)
}

/// Tells what a status means that is none of success.
pub(crate) fn refused(url: &Url, status: StatusCode, headers: &HeaderMap) -> Failure {
    let place = place(url);
    let (class, code, message) = match status.as_u16() {
        401 | 403 => (
            Class::Auth,
            "SOURCE_REFUSED",
            format!("{place} refused the job: {status}"),
        ),
        404 | 410 => (
            Class::Config,
            "SOURCE_NOT_FOUND",
            format!("there is nothing at {place}: {status}"),
        ),
        429 => (
            Class::RateLimited,
            "SOURCE_RATE_LIMITED",
            format!("{place} asked for a pause"),
        ),
        408 | 425 | 500..=599 => (Class::Transient, "SOURCE_AWAY", format!("{place} answered {status}")),
        _ => (Class::Config, "SOURCE_STRANGE", format!("{place} answered {status}")),
    };
    Failure {
        retry_after: crate::target::retry_after(headers),
        ..Failure::new(class, code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_the_web_and_holds_no_credential() {
        for text in [
            "https://example.com/feed?x=1",
            "http://[::1]:8080/",
            "https://über.example/",
        ] {
            assert!(parse_url(text).is_ok(), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(LONGEST_URL));
        let refused = [
            "",
            "feed",
            "file:///etc/passwd",
            "gopher://x/",
            "https://",
            "https://ann@example.com/",
            "https://ann:pw@example.com/",
            "https://x/\n",
            &long,
        ];
        for text in refused {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_spelling_of_this_machine_is_an_address() {
        let outbound = Outbound::new(&[]).expect("a client");
        for text in [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            let url = parse_url(text).expect(text);
            let refused = outbound.refuse_forbidden(&url).expect_err(text);
            assert_eq!(refused.code, "SOURCE_FORBIDDEN");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
        let outbound = Outbound::new(&[]).expect("a client");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url = parse_url(&format!("http://localhost:{port}/")).expect("a URL");
        let refused = outbound.ask(Ask::get(url)).await.expect_err("refused");
        assert_eq!((refused.class, refused.code), (Class::Config, "SOURCE_FORBIDDEN"));
        assert!(
            futures::FutureExt::now_or_never(listener.accept()).is_none(),
            "nobody came"
        );
    }

    #[test]
    fn a_status_says_whether_the_same_may_succeed_later() {
        let url = Url::parse("https://example.com/a?token=secret").expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("9"));
        let judged = |status| refused(&url, StatusCode::from_u16(status).expect("a status"), &headers);
        assert_eq!(judged(403).class, Class::Auth);
        assert_eq!(judged(404).class, Class::Config);
        assert_eq!(judged(503).class, Class::Transient);
        assert_eq!(judged(418).class, Class::Config);
        let limited = judged(429);
        assert_eq!(limited.class, Class::RateLimited);
        assert_eq!(limited.retry_after, Some(Duration::from_secs(9)));
        assert!(!limited.message.contains("secret"), "{limited}");
    }
}
