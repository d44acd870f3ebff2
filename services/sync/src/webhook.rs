//! Deliveries in GitHub's shape: their signature, and whether what they tell of concerns a source. Pure.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::connection::Source;

/// Longest id of a delivery, in bytes.
const LONGEST_ID: usize = 128;

/// Tells whether a signature is that of a body under a secret. Takes as long for a wrong signature as for a right one.
#[must_use]
pub fn is_signed(secret: &[u8], body: &[u8], signature: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(body);
    let shown = signature.strip_prefix("sha256=").and_then(unhex);
    shown.is_some_and(|shown| mac.verify_slice(&shown).is_ok())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Tells whether an id is one that a delivery may have.
#[must_use]
pub fn is_delivery_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What is read of a push.
#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    /// The branch is gone.
    #[serde(default)]
    deleted: bool,
}

/// What is read of an event about an issue.
#[derive(Debug, Deserialize)]
struct Issues {
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

/// Tells whether an event may have changed a source: an issue of the repository whose issues are followed; for all others a
/// push, for a repository to the branch that is followed if one is named, and none that deletes it. What cannot be read may have.
#[must_use]
pub fn concerns(source: &Source, event: &str, body: &[u8]) -> bool {
    match source {
        Source::Github(github) => {
            let is_ours = |issues: Issues| issues.repository.full_name.eq_ignore_ascii_case(&github.repository);
            event == "issues" && serde_json::from_slice(body).map_or(true, is_ours)
        }
        Source::Git(git) => {
            let is_followed = |push: Push| match &git.branch {
                _ if push.deleted => false,
                Some(branch) => push.reference.strip_prefix("refs/heads/") == Some(branch),
                None => true,
            };
            event == "push" && serde_json::from_slice(body).map_or(true, is_followed)
        }
        Source::Directory(_) | Source::HttpNdjson(_) | Source::S3(_) | Source::KnowledgeToMemory(_) => event == "push",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From GitHub's documentation of webhooks.
    const GITHUB: (&[u8], &[u8], &str) = (
        b"It's a Secret to Everybody",
        b"Hello, World!",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    );

    #[test]
    fn githubs_own_example_is_signed() {
        let (secret, body, signature) = GITHUB;
        assert!(is_signed(secret, body, signature));
        assert!(!is_signed(b"another secret", body, signature));
        assert!(!is_signed(secret, b"Hello, World?", signature));
        for other in [
            "",
            "sha256=",
            "sha1=757107ea",
            &signature.replace("sha256=", ""),
            &format!("{signature}00"),
        ] {
            assert!(!is_signed(secret, body, other), "{other}");
        }
    }

    #[test]
    fn a_push_concerns_the_branch_that_is_followed() {
        let git = |branch: Option<&str>| {
            let config = serde_json::json!({"url": "https://example.com/x.git", "branch": branch});
            serde_json::from_value(serde_json::json!({"type": "git", "config": config})).expect("a source")
        };
        let push = br#"{"ref": "refs/heads/main", "after": "1"}"#;
        assert!(concerns(&git(Some("main")), "push", push) && concerns(&git(None), "push", push));
        assert!(!concerns(&git(Some("ain")), "push", push) && !concerns(&git(Some("release")), "push", push));
        assert!(!concerns(&git(Some("main")), "issues", push) && !concerns(&git(None), "ping", push));
        // What cannot be read may concern it.
        assert!(concerns(&git(Some("main")), "push", b"payload=%7B%7D"));
        // Of a branch that is gone nothing can be read.
        let deleted = br#"{"ref": "refs/heads/main", "deleted": true}"#;
        assert!(!concerns(&git(Some("main")), "push", deleted) && !concerns(&git(None), "push", deleted));
    }

    #[test]
    fn an_event_concerns_the_issues_of_its_own_repository() {
        let config = serde_json::json!({"type": "github", "config": {"repository": "team/docs"}});
        let github: Source = serde_json::from_value(config).expect("a source");
        let of = |name: &str| format!(r#"{{"action": "edited", "repository": {{"full_name": "{name}"}}}}"#);
        assert!(concerns(&github, "issues", of("Team/Docs").as_bytes()));
        assert!(!concerns(&github, "issues", of("team/other").as_bytes()));
        assert!(!concerns(&github, "push", of("team/docs").as_bytes()));
        assert!(concerns(&github, "issues", b"payload=%7B%7D"));
    }

    proptest! {
        #[test]
        fn one_wrong_bit_is_no_signature(place in 7_usize..71, digit in 0_u8..16) {
            let (secret, body, signature) = GITHUB;
            let mut letters: Vec<char> = signature.chars().collect();
            letters[place] = char::from_digit(u32::from(digit), 16).expect("a digit");
            let changed: String = letters.into_iter().collect();
            prop_assert_eq!(is_signed(secret, body, &changed), changed == signature);
        }

        #[test]
        fn no_text_breaks_the_reader(signature in ".*") {
            prop_assert!(!is_signed(b"secret", b"", &signature));
        }
    }
}
