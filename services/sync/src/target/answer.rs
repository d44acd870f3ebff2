//! What a target's answer means: for the item, or for the whole run.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use aeterna_kit::clock;

use crate::job::{Class, Failure};

/// Longest answer that is read.
const LONGEST: usize = 64 * 1024;

/// Longest text that is taken over from an answer, in characters.
const TEXT: usize = 500;

/// Why a target did not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It cannot take this item.
    Item {
        /// What rejects are told apart by: the target's own code.
        code: String,
        /// A sentence.
        message: String,
    },
    /// This job may not write this item. Whether it may write any is told by the others.
    Forbidden {
        /// The target's own code.
        code: String,
        /// A sentence.
        message: String,
    },
    /// It is away, or takes nothing from us.
    Run(Failure),
    /// It was not asked: the lease may be over, and the job somebody else's.
    Lost,
}

/// What a target says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    code: String,
    detail: String,
}

pub(super) async fn of_put(response: Response) -> Result<(), Refused> {
    if response.status().is_success() {
        return Ok(());
    }
    Err(refuse(response).await)
}

pub(super) async fn of_remove(response: Response) -> Result<(), Refused> {
    // Gone already is gone.
    let gone = [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&response.status());
    if response.status().is_success() || gone {
        return Ok(());
    }
    Err(refuse(response).await)
}

pub(super) fn away(error: &reqwest::Error) -> Refused {
    let how = if error.is_timeout() {
        "did not answer in time"
    } else {
        "does not answer"
    };
    Refused::Run(Failure::new(
        Class::Transient,
        "TARGET_AWAY",
        format!("the target {how}"),
    ))
}

pub(super) async fn refuse(response: Response) -> Refused {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = read(response, LONGEST).await.unwrap_or_default();
    judge(status, &headers, serde_json::from_slice(&text).unwrap_or_default())
}

/// Reads an answer to its end, unless it is longer than `most`.
pub(super) async fn read(mut response: Response, most: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if text.len() + chunk.len() > most {
            return None;
        }
        text.extend_from_slice(&chunk);
    }
    Some(text)
}

fn judge(status: StatusCode, headers: &HeaderMap, body: Body) -> Refused {
    let code = if body.code.is_empty() {
        format!("HTTP_{}", status.as_u16())
    } else {
        body.code
    };
    let said: String = body
        .detail
        .chars()
        .filter(|char| !char.is_control())
        .take(TEXT)
        .collect();
    let run = |class, code, message: String| {
        Refused::Run(Failure {
            retry_after: retry_after(headers),
            ..Failure::new(class, code, message)
        })
    };
    // Of the tenant, not of the item.
    let is_about_tenant = code.starts_with("TENANT_");
    let code: String = code.chars().filter(char::is_ascii_graphic).take(64).collect();
    match status.as_u16() {
        403 if !is_about_tenant => Refused::Forbidden {
            message: if said.is_empty() {
                "the target does not let this job write the item".to_owned()
            } else {
                said
            },
            code,
        },
        401 | 403 => run(
            Class::Auth,
            "TARGET_REFUSED",
            format!("the target refused the job: {code}: {said}"),
        ),
        404 => run(
            Class::Config,
            "TARGET_NOT_FOUND",
            format!("the target has no such endpoint: {status}"),
        ),
        429 => run(
            Class::RateLimited,
            "TARGET_RATE_LIMITED",
            "the target asked for a pause".to_owned(),
        ),
        // 412: somebody was quicker; the next try sees the newer version.
        408 | 412 | 425 | 500..=599 => run(
            Class::Transient,
            "TARGET_AWAY",
            format!("the target answered {status}: {code}"),
        ),
        300..=399 => run(
            Class::Config,
            "TARGET_REDIRECTS",
            format!("the target answered {status}"),
        ),
        _ => Refused::Item {
            code,
            message: if said.is_empty() {
                format!("the target answered {status}")
            } else {
                said
            },
        },
    }
}

/// Reads a `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // A date that is over is no wish.
    Some(Duration::try_from(at.duration_since(clock::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Refused {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        judge(status, &headers, serde_json::from_str(body).unwrap_or_default())
    }

    fn class(status: u16) -> Option<Class> {
        match judged(status, "") {
            Refused::Run(failure) => Some(failure.class),
            Refused::Item { .. } | Refused::Forbidden { .. } | Refused::Lost => None,
        }
    }

    #[test]
    fn what_is_about_the_item_rejects_the_item_and_the_rest_stops_the_run() {
        // 405: an id that is a path of the API itself.
        for status in [400, 403, 405, 409, 413, 422] {
            assert_eq!(class(status), None, "{status}");
        }
        assert_eq!(class(401), Some(Class::Auth));
        let forbidden = judged(403, r#"{"code": "FORBIDDEN", "detail": "not this one"}"#);
        assert!(
            matches!(forbidden, Refused::Forbidden { code, message } if code == "FORBIDDEN" && message == "not this one")
        );
        let suspended = judged(403, r#"{"code": "TENANT_SUSPENDED"}"#);
        assert!(matches!(suspended, Refused::Run(failure) if failure.code == "TARGET_REFUSED"));
        assert_eq!(class(404), Some(Class::Config));
        assert_eq!(class(302), Some(Class::Config));
        assert_eq!(class(429), Some(Class::RateLimited));
        for status in [408, 412, 500, 502, 503, 504] {
            assert_eq!(class(status), Some(Class::Transient), "{status}");
        }
    }

    #[test]
    fn a_reject_has_the_targets_own_words_as_far_as_they_are_text() {
        let refused = judged(422, r#"{"code": "INVALID_CONTENT", "detail": "too\nlong"}"#);
        let expected = Refused::Item {
            code: "INVALID_CONTENT".to_owned(),
            message: "toolong".to_owned(),
        };
        assert_eq!(refused, expected);
        assert!(matches!(judged(422, "<html>"), Refused::Item { code, .. } if code == "HTTP_422"));
    }

    #[test]
    fn a_wish_for_a_pause_may_be_a_date() {
        let wish = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(wish("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wish("Fri, 21 Oct 2095 07:28:00 GMT").is_some_and(|wish| wish > Duration::from_hours(24)));
        assert_eq!(wish("soon"), None);
    }

    #[test]
    fn a_wish_for_a_pause_is_heard() {
        let Refused::Run(failure) = judged(429, "") else {
            panic!("the run stops");
        };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    }
}
