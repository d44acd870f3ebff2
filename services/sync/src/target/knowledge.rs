//! Items as knowledge.
//!
//! A path that somebody else wrote is left alone: the job is told, and the item becomes a reject. So is one that the
//! connection made and somebody else changed since: its author is still the connection, but its version is not the one that
//! was delivered. Where a crash kept a version from being written down, the item's history tells who made it. What is the
//! connection's own, it changes and deletes, at the version that it has just seen.
//!
//! What the front matter of an item names stays as it is named there: see [`super::front_matter`]. The layer is the target's.

use std::borrow::Cow;

use reqwest::header::{ETAG, HeaderValue, IF_MATCH};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Refused};
use super::front_matter::{self, Said};
use super::{Delivery, For, Services, base};
use crate::connection::KnowledgeTarget;
use crate::job::{Class, Failure};
use crate::outbound;

/// Longest answer that is read, in bytes.
const LONGEST_READ: u64 = 4 << 20;

/// What the knowledge service has at paths of its own.
const RESERVED: [&str; 2] = ["search", "import"];

/// What the knowledge service takes.
#[derive(Debug, Serialize)]
struct Body<'a> {
    path: &'a str,
    content: Cow<'a, str>,
    layer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

/// What is read of an item that is there.
#[derive(Debug, Deserialize)]
struct Item {
    author: String,
}

/// What is read of an item's history.
#[derive(Debug, Deserialize)]
struct History {
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    author: String,
}

/// What is at a path.
enum There {
    Nothing,
    Ours(HeaderValue),
    Somebodys,
}

pub(super) async fn put(
    services: &Services,
    settings: &KnowledgeTarget,
    whose: For<'_>,
    delivery: Delivery<'_>,
) -> Result<Option<String>, Refused> {
    // The service's own answer to such a path; asked, the URL might lead to another item.
    if !is_plain(delivery.id) {
        return Err(Refused::Item {
            code: "INVALID_PATH".to_owned(),
            message: format!("{:?} is no path that knowledge can have", delivery.id),
        });
    }
    let url = place(services, delivery.id).map_err(Refused::Run)?;
    let request = match look(services, &url, whose, delivery.version).await? {
        There::Nothing => {
            let mut all = url.clone();
            all.set_path("/api/v1/knowledge");
            services.http.post(all)
        }
        There::Ours(version) => services.http.put(url).header(IF_MATCH, version),
        There::Somebodys => return Err(taken(delivery.id)),
    };
    let body = body(settings, whose, delivery);
    let response = services.ask(request.json(&body), whose).await?;
    let version = response.headers().get(ETAG).and_then(|version| version.to_str().ok());
    let version = version.map(ToOwned::to_owned);
    answer::of_put(response).await.map(|()| version)
}

/// Says what an item is, in its front matter where it has one and beside it otherwise.
fn body<'a>(settings: &'a KnowledgeTarget, whose: For<'_>, delivery: Delivery<'a>) -> Body<'a> {
    let source = json!({
        "type": whose.origin, "reference": delivery.external_id, "connectionId": whose.connection,
    });
    let (kind, status) = (settings.kind.as_deref(), settings.status.as_deref());
    let said = Said {
        kind,
        status,
        source: &source,
    };
    let (path, layer) = (delivery.id, settings.layer.as_str());
    match front_matter::complete(delivery.text, said) {
        Some(text) => Body {
            path,
            content: Cow::Owned(text),
            layer,
            kind: None,
            status: None,
            metadata: None,
        },
        None => Body {
            path,
            content: Cow::Borrowed(delivery.text),
            layer,
            kind,
            status,
            metadata: Some(json!({"source": source})),
        },
    }
}

pub(super) async fn remove(
    services: &Services,
    whose: For<'_>,
    (id, version): (&str, Option<&str>),
) -> Result<(), Refused> {
    // Nothing was ever delivered there.
    if !is_plain(id) {
        return Ok(());
    }
    let url = place(services, id).map_err(Refused::Run)?;
    match look(services, &url, whose, version).await? {
        There::Nothing => Ok(()),
        There::Ours(version) => {
            let request = services.http.delete(url).header(IF_MATCH, version);
            answer::of_remove(services.ask(request, whose).await?).await
        }
        There::Somebodys => Err(taken(id)),
    }
}

/// Looks what is at a path; `delivered` is the version that the connection knows to be its own.
async fn look(services: &Services, url: &Url, whose: For<'_>, delivered: Option<&str>) -> Result<There, Refused> {
    let response = services.ask(services.http.get(url.clone()), whose).await?;
    if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&response.status()) {
        return Ok(There::Nothing);
    }
    if response.status() != StatusCode::OK {
        return Err(answer::refuse(response).await);
    }
    let version = response.headers().get(ETAG).cloned().ok_or_else(strange)?;
    let text = answer::read(response, super::LONGEST_ITEM).await.ok_or_else(strange)?;
    let item: Item = serde_json::from_slice(&text).map_err(|_| strange())?;
    let is_ours = item.author == whose.subject()
        && (delivered.is_some_and(|delivered| version == delivered) || wrote_last(services, url, whose).await?);
    Ok(if is_ours {
        There::Ours(version)
    } else {
        There::Somebodys
    })
}

/// Tells whether the newest version of an item is the connection's.
async fn wrote_last(services: &Services, url: &Url, whose: For<'_>) -> Result<bool, Refused> {
    let mut url = url.clone();
    url.query_pairs_mut()
        .extend_pairs([("view", "history"), ("limit", "1")]);
    let response = services.ask(services.http.get(url), whose).await?;
    if response.status() != StatusCode::OK {
        return Err(answer::refuse(response).await);
    }
    let text = answer::read(response, super::LONGEST_ITEM).await.ok_or_else(strange)?;
    let history: History = serde_json::from_slice(&text).map_err(|_| strange())?;
    Ok(history
        .versions
        .first()
        .is_some_and(|last| last.author == whose.subject()))
}

fn strange() -> Refused {
    let message = "the target answered something else than an item";
    Refused::Run(Failure::new(Class::Config, "TARGET_STRANGE", message))
}

fn taken(path: &str) -> Refused {
    Refused::Item {
        code: "KNOWLEDGE_CONFLICT".to_owned(),
        message: format!("somebody else wrote or changed {path}; the sync leaves it as it is"),
    }
}

/// Reads an item, or a folder where the path ends with a slash or is empty.
pub(super) async fn read(
    services: &Services,
    whose: For<'_>,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Option<Vec<u8>>, Failure> {
    let mut url = place(services, path)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let request = services.tokens.show(services.http.get(url.clone()), whose)?;
    let response = request.send().await.map_err(|error| outbound::away(&url, &error))?;
    match response.status() {
        StatusCode::OK => outbound::read(&url, response, LONGEST_READ).await.map(Some),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
        status => Err(outbound::refused(&url, status, response.headers())),
    }
}

/// Tells whether a path leads to an item of its own in a URL: one that is read as it is written, and is not the API's.
fn is_plain(path: &str) -> bool {
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    let is_own = RESERVED.iter().any(|reserved| path.eq_ignore_ascii_case(reserved));
    !is_own && !path.chars().any(char::is_control) && path.split('/').all(is_segment)
}

fn place(services: &Services, path: &str) -> Result<Url, Failure> {
    url(base(services.knowledge.as_ref(), "KNOWLEDGE_SERVICE_URL")?, path)
}

/// Returns the URL of a path; each segment is escaped, so that none can become two.
fn url(base: &str, path: &str) -> Result<Url, Failure> {
    let wrong = || {
        let message = "KNOWLEDGE_SERVICE_URL is not a URL";
        Failure::new(Class::Config, "TARGET_DISABLED", message)
    };
    let mut url = Url::parse(&format!("{base}/api/v1/knowledge")).map_err(|_| wrong())?;
    url.path_segments_mut().map_err(|()| wrong())?.extend(path.split('/'));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_url_would_read_otherwise_is_none() {
        for path in [
            "", "/", "..", ".", "a/../b", "docs/", "/a", "a//b", "a\tb", "search", "Import",
        ] {
            assert!(!is_plain(path), "{path:?}");
        }
        for path in ["a", "docs/search", "a..b", "...", "a b/ü.md", "a%2e%2e/b", "a\\b"] {
            assert!(is_plain(path), "{path:?}");
            let url = url("http://knowledge:8002", path).expect("a URL");
            let segments = url.path_segments().expect("it has some").count();
            assert_eq!(segments, 3 + path.split('/').count(), "{url}");
        }
    }

    #[test]
    fn a_path_is_escaped_segment_by_segment() {
        let url = url("http://knowledge:8002", "a b/ü?#.md").expect("a URL");
        assert_eq!(
            url.as_str(),
            "http://knowledge:8002/api/v1/knowledge/a%20b/%C3%BC%3F%23.md"
        );
    }
}
