//! Issues of a repository through GitHub's REST API, each as a Markdown text.
//!
//! Issues come in the order of their last change. The next document is asked for by the time of the last change that was
//! read, not by a number: an issue that changes while the run reads moves to the end of the list, and with numbers the one
//! behind it would slip through. Only where that time leads no further, because all issues of a document changed in the same
//! second, its `Link` does. What is met twice so counts once, as everywhere.
//!
//! A run that begins where the last whole run ended lists what changed since. Nobody tells it of an issue that was deleted or
//! transferred; a full run finds that.

mod issue;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, LINK};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use aeterna_kit::clock;

use super::{PAGE, Page, texts};
use crate::connection;
use crate::job::{Class, Failure};
use crate::outbound::{self, Ask, Outbound, link};

/// Largest document, in bytes: a body has at most 65,536 letters.
const DOCUMENT: u64 = 32 << 20;

/// Most documents of one run: a repository that changes faster than it is read has no end.
const DOCUMENTS: u32 = 100_000;

/// `since` is sharp to a second, and whether it takes that second in is not promised.
const OVERLAP: Duration = Duration::from_secs(1);

/// The issues of a repository.
#[derive(Debug)]
pub struct Github {
    outbound: Outbound,
    settings: connection::Github,
    url: Url,
    authorization: Option<HeaderValue>,
    start: Position,
}

/// Where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    /// The number of the document in its run, from 0.
    number: u32,
    /// Whether the run began without a time, and lists all that there is.
    is_whole: bool,
    /// Issues that changed at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The document, where the time leads no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// What a whole run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    since: Option<Timestamp>,
}

impl Github {
    /// Opens a repository; nothing is asked yet. `base` is what the last whole run left, for a run that begins and need not
    /// list everything.
    ///
    /// # Errors
    /// When the position is not one of its own, or the secret does not fit into a header.
    pub fn open(
        outbound: Outbound,
        settings: &connection::Github,
        secret: Option<&str>,
        base: Option<&Value>,
        position: Option<&Value>,
    ) -> Result<Self, Failure> {
        let mut url = outbound::parse_url(&settings.api_url)
            .map_err(|message| Failure::new(Class::Config, "SOURCE_NOT_FOUND", message))?;
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("repos");
            segments.extend(settings.repository.split('/')).push("issues");
        }
        let base = base.and_then(|state| serde_json::from_value::<State>(state.clone()).ok());
        let since = base.and_then(|state| state.since);
        let start = match position {
            Some(kept) => read_position(kept)?,
            None => Position {
                is_whole: since.is_none(),
                since,
                ..Position::default()
            },
        };
        Ok(Self {
            outbound,
            settings: settings.clone(),
            url,
            authorization: secret.map(outbound::bearer).transpose()?,
            start,
        })
    }

    /// Tells whether the run lists all issues, and not only what changed.
    pub fn is_whole(&self) -> bool {
        self.start.is_whole
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the API does not answer, asks for a pause, or answers something else than issues in the order of their change.
    pub async fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        let position = match position {
            Some(kept) => read_position(kept)?,
            None => self.start.clone(),
        };
        if position.number >= DOCUMENTS {
            let message = format!("the repository has more than {DOCUMENTS} documents of issues, or no end");
            return Err(Failure::new(Class::Data, "FEED_ENDLESS", message));
        }
        let (bytes, next) = self.ask(&position).await?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (items, last) = issue::read(&bytes, &self.settings)?;
        let (next, state) = match next {
            Some(link) => (Some(after(&position, last, &link)), None),
            // What changed in the second of the last change may not all be there yet.
            None => {
                let since = last.map(before).or(position.since);
                (None, Some(json!(State { since })))
            }
        };
        Ok(Page {
            bytes: length.saturating_sub(texts(&items)),
            items,
            next: next.map(|next| json!(next)),
            estimate: None,
            state,
            restarted: false,
        })
    }

    /// Asks for a document; returns it and where its `Link` leads.
    async fn ask(&self, position: &Position) -> Result<(Vec<u8>, Option<Url>), Failure> {
        let url = match &position.link {
            Some(link) => link::resolve(&self.url, link)?,
            None => self.listing(position.since),
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let version = HeaderName::from_static("x-github-api-version");
        headers.insert(version, HeaderValue::from_static("2022-11-28"));
        let ask = Ask {
            headers,
            // A link may lead to another place, but does not take the credential there.
            authorization: self.authorization.clone().filter(|_| url.origin() == self.url.origin()),
            ..Ask::get(url)
        };
        let (from, response) = self.outbound.ask(ask).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(&from, response.status(), response.headers()));
        }
        let named = response.headers().get(LINK).and_then(|header| header.to_str().ok());
        let next = named.and_then(link::next).map(|next| link::resolve(&from, &next));
        let next = next.transpose()?;
        Ok((outbound::read(&from, response, DOCUMENT).await?, next))
    }

    fn listing(&self, since: Option<Timestamp>) -> Url {
        let mut url = self.url.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("state", "all")
            .append_pair("sort", "updated")
            .append_pair("direction", "asc")
            .append_pair("per_page", &PAGE.to_string());
        if let Some(since) = since {
            query.append_pair("since", &since.to_string());
        }
        drop(query);
        url
    }
}

fn read_position(kept: &Value) -> Result<Position, Failure> {
    serde_json::from_value(kept.clone()).map_err(|_| {
        Failure::new(
            Class::Internal,
            "CURSOR_FOREIGN",
            "the cursor is not one of a repository's issues",
        )
    })
}

/// Returns the place after a document whose last change is `last`, and whose `Link` leads to `link`.
fn after(position: &Position, last: Option<Timestamp>, link: &Url) -> Position {
    let since = last
        .map(before)
        .filter(|since| position.since.is_none_or(|was| *since > was));
    Position {
        number: position.number + 1,
        is_whole: position.is_whole,
        link: since.is_none().then(|| link.to_string()),
        since: since.or(position.since),
    }
}

fn before(time: Timestamp) -> Timestamp {
    time.checked_sub(OVERLAP).unwrap_or(time)
}

/// Tells what a status means; GitHub asks for a pause with 403 as well as with 429.
fn refused(url: &Url, status: StatusCode, headers: &HeaderMap) -> Failure {
    let failure = outbound::refused(url, status, headers);
    let said = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let is_used_up = said("x-ratelimit-remaining") == Some(0);
    let is_pause = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    if !is_pause || !(is_used_up || failure.retry_after.is_some()) {
        return failure;
    }
    let until_reset = || {
        let reset = Timestamp::from_second(said("x-ratelimit-reset")?).ok()?;
        Some(Duration::try_from(reset.duration_since(clock::now())).unwrap_or_default())
    };
    Failure {
        class: Class::RateLimited,
        code: "SOURCE_RATE_LIMITED",
        message: format!("{} asked for a pause", outbound::place(url)),
        retry_after: failure.retry_after.or_else(until_reset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> connection::Github {
        serde_json::from_value(json!({"repository": "team/docs", "state": "all"})).expect("settings")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn the_next_document_is_found_by_time_and_by_link_only_where_that_leads_no_further() {
        let link = Url::parse("https://api.github.com/x?page=2").expect("a URL");
        let start = Position {
            is_whole: true,
            ..Position::default()
        };
        let later = after(&start, Some(at("2026-01-01T00:00:10Z")), &link);
        assert_eq!((later.since, &later.link), (Some(at("2026-01-01T00:00:09Z")), &None));
        let same = after(&later, Some(at("2026-01-01T00:00:10Z")), &link);
        assert_eq!((same.since, same.link.as_deref()), (later.since, Some(link.as_str())));
        assert_eq!((same.number, same.is_whole), (2, true));
        // Behind the documents of that second the time leads on.
        let on = after(&same, Some(at("2026-01-01T00:00:12Z")), &link);
        assert_eq!((on.since, on.link), (Some(at("2026-01-01T00:00:11Z")), None));
    }

    #[test]
    fn a_pause_is_told_from_a_refusal() {
        let url = Url::parse("https://api.github.com/repos/a/b/issues").expect("a URL");
        let judged = |status, named: &[(&'static str, String)]| {
            let headers = named
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
                .collect();
            refused(&url, status, &headers)
        };
        assert_eq!(judged(StatusCode::FORBIDDEN, &[]).class, Class::Auth);
        let reset = (clock::now() + Duration::from_mins(10)).as_second().to_string();
        let used_up = [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)];
        let limited = judged(StatusCode::FORBIDDEN, &used_up);
        assert_eq!(
            (limited.class, limited.code),
            (Class::RateLimited, "SOURCE_RATE_LIMITED")
        );
        let pause = limited.retry_after.expect("a pause").as_secs();
        assert!((590..=600).contains(&pause), "{pause}");
        let secondary = judged(StatusCode::FORBIDDEN, &[("retry-after", "30".to_owned())]);
        assert_eq!(secondary.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(judged(StatusCode::NOT_FOUND, &used_up).class, Class::Config);
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_given_up_and_a_foreign_position_refused() {
        let outbound = Outbound::new(&[]).expect("a client");
        let open = |position: &Value| Github::open(outbound.clone(), &settings(), None, None, Some(position));
        let last = json!({"number": DOCUMENTS, "isWhole": true});
        let failure = open(&last).expect("opened").page(None).await.expect_err("given up");
        assert_eq!((failure.class, failure.code), (Class::Data, "FEED_ENDLESS"));
        assert_eq!(open(&json!("nonsense")).expect_err("refused").code, "CURSOR_FOREIGN");
    }

    #[test]
    fn the_api_of_a_server_of_ones_own_has_a_path() {
        let outbound = Outbound::new(&[]).expect("a client");
        let settings = connection::Github {
            api_url: "https://git.example.com/api/v3/?x=1".to_owned(),
            ..settings()
        };
        let state = json!({"since": "2026-01-01T00:00:00Z"});
        let github = Github::open(outbound, &settings, None, Some(&state), None).expect("opened");
        assert!(!github.is_whole());
        assert_eq!(
            github.listing(github.start.since).as_str(),
            "https://git.example.com/api/v3/repos/team/docs/issues?state=all&sort=updated&direction=asc&per_page=32\
             &since=2026-01-01T00%3A00%3A00Z"
        );
    }
}
