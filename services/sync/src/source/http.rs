//! A feed over HTTP: documents of records, each naming the next one, that together list all items.
//!
//! The position is a document, its hash, and how many of its items are taken. Where the hash is another after a crash, the
//! feed is taken from its beginning again. A feed of one document is asked for with what it was last known by (ETag,
//! Last-Modified); when it answers that nothing changed, nothing is looked at.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::feed::{self, Form, Place};
use super::{Listed, PAGE, Page, blocking, texts};
use crate::connection::HttpNdjson;
use crate::job::{Class, Failure};
use crate::outbound::{self, Ask, Outbound, link};

/// Largest document, in bytes, as it is when it is unpacked.
const DOCUMENT: u64 = 32 << 20;

/// Most documents of one feed: one whose last document leads back to its first has no end.
const DOCUMENTS: u32 = 10_000;

/// An open feed.
#[derive(Debug)]
pub struct Feed {
    outbound: Outbound,
    settings: HttpNdjson,
    url: Url,
    authorization: Option<HeaderValue>,
    known: Validators,
    most: u64,
    is_unchanged: bool,
    held: Mutex<Option<Arc<Held>>>,
}

/// What a document was known by when it was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Validators {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    url: String,
    /// The number of the document, from 1.
    number: u32,
    /// Of the document, once some of its items are taken.
    hash: Option<String>,
    taken: usize,
    /// Of the first document.
    first: Validators,
}

/// A document that was read.
#[derive(Debug)]
struct Held {
    url: String,
    hash: String,
    items: Vec<Listed>,
    next: Option<Url>,
    bytes_beside_texts: u64,
    validators: Validators,
}

impl Feed {
    /// Opens a feed. `state` is what the last whole run left, where a run that finds nothing new may end at once; `most` is
    /// how many items a document may have.
    ///
    /// # Errors
    /// When the feed does not answer.
    pub async fn open(
        outbound: Outbound,
        settings: &HttpNdjson,
        secret: Option<&str>,
        state: Option<&Value>,
        most: u64,
    ) -> Result<Self, Failure> {
        let url = outbound::parse_url(&settings.url)
            .map_err(|message| Failure::new(Class::Config, "SOURCE_NOT_FOUND", message))?;
        let known = state.and_then(|state| serde_json::from_value(state.clone()).ok());
        let mut feed = Self {
            outbound,
            settings: settings.clone(),
            url,
            authorization: secret.map(outbound::bearer).transpose()?,
            known: known.unwrap_or_default(),
            most,
            is_unchanged: false,
            held: Mutex::new(None),
        };
        if feed.known != Validators::default() {
            let first = feed.ask(&feed.url, &feed.known, 1).await?;
            feed.is_unchanged = first.is_none();
            feed.held = Mutex::new(first.map(Arc::new));
        }
        Ok(feed)
    }

    /// Tells whether the feed said that nothing changed.
    pub fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the feed does not answer, or answers something else than a feed.
    pub async fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        if self.is_unchanged {
            return Ok(Page {
                items: Vec::new(),
                next: None,
                estimate: None,
                bytes: 0,
                state: Some(json!(self.known)),
                restarted: false,
            });
        }
        let mut position = self.position(position)?;
        let mut held = self.document(&position).await?;
        let restarted = position.hash.as_ref().is_some_and(|hash| *hash != held.hash);
        if restarted {
            // What was taken of the documents before belongs to another list.
            position = self.position(None)?;
            held = self.document(&position).await?;
        }
        let taken = position.taken;
        let rest = held.items.get(taken..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(PAGE));
        let first = if position.number == 1 {
            held.validators.clone()
        } else {
            position.first
        };
        let next = match (&held.next, later.is_empty()) {
            (_, false) => Some(Position {
                url: position.url,
                number: position.number,
                hash: Some(held.hash.clone()),
                taken: taken + now.len(),
                first: first.clone(),
            }),
            (Some(next), true) => Some(Position {
                url: next.to_string(),
                number: position.number + 1,
                hash: None,
                taken: 0,
                first: first.clone(),
            }),
            (None, true) => None,
        };
        // The first document says nothing about the ones after it.
        let state = if position.number == 1 {
            first
        } else {
            Validators::default()
        };
        Ok(Page {
            items: now.to_vec(),
            state: next.is_none().then(|| json!(state)),
            next: next.map(|next| json!(next)),
            estimate: None,
            bytes: if taken == 0 { held.bytes_beside_texts } else { 0 },
            restarted,
        })
    }

    fn position(&self, position: Option<&Value>) -> Result<Position, Failure> {
        let position = match position {
            None => Position {
                url: self.url.to_string(),
                number: 1,
                hash: None,
                taken: 0,
                first: Validators::default(),
            },
            Some(kept) => serde_json::from_value(kept.clone())
                .map_err(|_| Failure::new(Class::Internal, "CURSOR_FOREIGN", "the cursor is not one of a feed"))?,
        };
        if position.number > DOCUMENTS {
            let message = format!("the feed has more than {DOCUMENTS} documents, or no end");
            return Err(Failure::new(Class::Data, "FEED_ENDLESS", message));
        }
        Ok(position)
    }

    /// Returns the document of a position: the one that is held, or the one that the feed gives now.
    async fn document(&self, position: &Position) -> Result<Arc<Held>, Failure> {
        let mut held = self.held.lock().await;
        if let Some(document) = held.as_ref().filter(|held| held.url == position.url) {
            return Ok(Arc::clone(document));
        }
        let url = outbound::parse_url(&position.url)
            .map_err(|message| Failure::new(Class::Data, "FEED_UNREADABLE", format!("the next document: {message}")))?;
        let document = self
            .ask(&url, &Validators::default(), position.number)
            .await?
            .ok_or_else(|| {
                let message = "the feed says that nothing changed, and was not asked that";
                Failure::new(Class::Data, "FEED_UNREADABLE", message)
            })?;
        Ok(Arc::clone(held.insert(Arc::new(document))))
    }

    /// Asks for a document by its number; nothing when it is as it was known.
    async fn ask(&self, url: &Url, known: &Validators, number: u32) -> Result<Option<Held>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/x-ndjson, application/json;q=0.9"),
        );
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        put(&mut headers, header::IF_NONE_MATCH, known.etag.as_deref());
        put(&mut headers, header::IF_MODIFIED_SINCE, known.last_modified.as_deref());
        let ask = Ask {
            headers,
            // A feed may lead to other places, but does not get the credential there.
            authorization: self.authorization.clone().filter(|_| url.origin() == self.url.origin()),
            ..Ask::get(url.clone())
        };
        let (from, response) = self.outbound.ask(ask).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if response.status() != StatusCode::OK {
            return Err(outbound::refused(&from, response.status(), response.headers()));
        }
        let said = |name: HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let validators = Validators {
            etag: said(header::ETAG),
            last_modified: said(header::LAST_MODIFIED),
        };
        let form = Form::of(&said(header::CONTENT_TYPE).unwrap_or_default());
        let named = said(header::LINK).and_then(|header| link::next(&header));
        let bytes = outbound::read(&from, response, DOCUMENT).await?;
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes));
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (settings, most) = (self.settings.clone(), self.most);
        let document = blocking(move || feed::read(&bytes, form, &settings, Place { number, most })).await?;
        let next = named
            .or(document.next)
            .map(|next| link::resolve(&from, &next))
            .transpose()?;
        Ok(Some(Held {
            url: url.to_string(),
            hash,
            next,
            bytes_beside_texts: length.saturating_sub(texts(&document.items)),
            items: document.items,
            validators,
        }))
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_feed_without_an_end_is_given_up() {
        let outbound = Outbound::new(&[]).expect("a client");
        let settings = serde_json::from_value(json!({"url": "https://example.com/feed"})).expect("settings");
        let feed = Feed::open(outbound, &settings, None, None, 10)
            .await
            .expect("nothing is asked");
        let position =
            |number: u32| json!({"url": "https://example.com/feed", "number": number, "taken": 0, "first": {}});
        let failure = feed.page(Some(&position(DOCUMENTS + 1))).await.expect_err("given up");
        assert_eq!((failure.class, failure.code), (Class::Data, "FEED_ENDLESS"));
        let failure = feed.page(Some(&json!("nonsense"))).await.expect_err("refused");
        assert_eq!(failure.code, "CURSOR_FOREIGN");
    }
}
