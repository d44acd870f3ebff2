//! An issue as the API tells it, and as a text.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::connection;
use crate::job::{Class, Failure};
use crate::source::{Found, LARGEST, Listed, text_of, too_large};

/// What is read of an issue.
#[derive(Debug, Deserialize)]
struct Issue {
    number: u64,
    title: String,
    state: String,
    updated_at: Timestamp,
    html_url: Option<String>,
    body: Option<String>,
    user: Option<User>,
    #[serde(default)]
    labels: Vec<Label>,
    /// Pull requests are listed among the issues, and marked so.
    pull_request: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

/// A label: GitHub documents both forms.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Label {
    Plain(String),
    Whole { name: Option<String> },
}

/// Reads a document of issues; returns them and the time of the last change among them.
///
/// # Errors
/// When it is no list of issues, or not in the order of their change: the place after it could not be told.
pub(super) fn read(bytes: &[u8], settings: &connection::Github) -> Result<(Vec<Listed>, Option<Timestamp>), Failure> {
    let unreadable = |message: String| Failure::new(Class::Data, "FEED_UNREADABLE", message);
    let issues: Vec<Issue> = serde_json::from_slice(bytes)
        .map_err(|error| unreadable(format!("the API answers no list of GitHub's issues: {error}")))?;
    if !issues.is_sorted_by_key(|issue| issue.updated_at) {
        let message = "the API does not list issues in the order of their last change, as GitHub's does";
        return Err(unreadable(message.to_owned()));
    }
    let last = issues.last().map(|issue| issue.updated_at);
    let items = issues
        .into_iter()
        .filter(|issue| issue.pull_request.is_none())
        .map(|issue| listed(&issue, settings))
        .collect();
    Ok((items, last))
}

fn listed(issue: &Issue, settings: &connection::Github) -> Listed {
    let is_wanted = settings.state.wants(&issue.state);
    Listed {
        external_id: format!("issues/{}.md", issue.number),
        version: Some(issue.updated_at.to_string()),
        found: if is_wanted {
            found(issue, &settings.repository)
        } else {
            Found::Gone
        },
    }
}

fn found(issue: &Issue, repository: &str) -> Found {
    let text = markdown(issue, repository);
    match u64::try_from(text.len()) {
        Ok(length) if length <= LARGEST => text_of(text.into_bytes()),
        length => too_large(length.unwrap_or(u64::MAX)),
    }
}

/// Writes an issue as Markdown: its title, a line about it, its body.
fn markdown(issue: &Issue, repository: &str) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let names = issue.labels.iter().filter_map(|label| match label {
        Label::Plain(name) | Label::Whole { name: Some(name) } => Some(line(name)),
        Label::Whole { name: None } => None,
    });
    let labels = names.collect::<Vec<_>>().join(", ");
    let mut about = format!("Issue {repository}#{} ({})", issue.number, issue.state);
    if let Some(user) = &issue.user {
        about = format!("{about} by {}", user.login);
    }
    if !labels.is_empty() {
        about = format!("{about}, labels: {labels}");
    }
    if let Some(url) = &issue.html_url {
        about = format!("{about}, <{url}>");
    }
    let body = issue.body.as_deref().unwrap_or_default().replace("\r\n", "\n");
    format!("# {}\n\n{about}\n\n{}\n", line(&issue.title), body.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(state: &str) -> connection::Github {
        serde_json::from_value(json!({"repository": "team/docs", "state": state})).expect("settings")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn issue(number: u64, state: &str, updated: &str) -> Value {
        json!({
            "number": number, "title": "It  breaks", "state": state, "updated_at": updated, "body": "When\r\nit rains.",
            "html_url": format!("https://github.com/team/docs/issues/{number}"), "user": {"login": "ann"},
            "labels": [{"name": "bug"}, "urgent"],
        })
    }

    fn read_all(issues: &[Value], state: &str) -> Result<(Vec<Listed>, Option<Timestamp>), Failure> {
        read(json!(issues).to_string().as_bytes(), &settings(state))
    }

    #[test]
    fn an_issue_is_a_text_with_what_is_known_of_it() {
        let (items, last) = read_all(&[issue(7, "open", "2026-01-02T03:04:05Z")], "all").expect("issues");
        let text = "# It breaks\n\nIssue team/docs#7 (open) by ann, labels: bug, urgent, \
                    <https://github.com/team/docs/issues/7>\n\nWhen\nit rains.\n";
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].external_id, "issues/7.md");
        assert_eq!(items[0].version.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(items[0].found, Found::Text(text.to_owned()));
        assert_eq!(last, Some(at("2026-01-02T03:04:05Z")));
        let bare =
            json!({"number": 1, "title": "", "state": "open", "updated_at": "2026-01-01T00:00:00Z", "body": null});
        assert!(matches!(
            read_all(&[bare], "all").expect("an issue").0[0].found,
            Found::Text(_)
        ));
    }

    #[test]
    fn what_is_not_wanted_is_gone_and_a_pull_request_was_never_there() {
        let mut pull = issue(3, "open", "2026-01-03T00:00:00Z");
        pull["pull_request"] = json!({"url": "https://x/"});
        let all = [
            issue(1, "open", "2026-01-01T00:00:00Z"),
            issue(2, "closed", "2026-01-02T00:00:00Z"),
            pull,
        ];
        let gone = |state| {
            let (items, last) = read_all(&all, state).expect("issues");
            assert_eq!(last, Some(at("2026-01-03T00:00:00Z")), "its time counts nevertheless");
            items.iter().map(|item| item.found == Found::Gone).collect::<Vec<_>>()
        };
        assert_eq!(gone("all"), [false, false]);
        assert_eq!(gone("open"), [false, true]);
        assert_eq!(gone("closed"), [true, false]);
    }

    #[test]
    fn what_is_no_list_of_issues_in_their_order_is_refused() {
        let turned = [
            issue(1, "open", "2026-01-02T00:00:00Z"),
            issue(2, "open", "2026-01-01T00:00:00Z"),
        ];
        for failure in [
            read_all(&turned, "all").expect_err("turned"),
            read(b"{\"message\": \"x\"}", &settings("all")).expect_err("no list"),
            read(b"[{\"id\": 1}]", &settings("all")).expect_err("no issue"),
        ] {
            assert_eq!((failure.class, failure.code), (Class::Data, "FEED_UNREADABLE"));
        }
    }
}
