//! Takes secrets out of texts before anything is done with them.
//!
//! Pure. Known forms of keys and tokens, passwords beside their names, credentials in URLs, addresses of people, and long runs
//! of characters that look drawn by lot. Rather a word too many than a secret too few: what is replaced says of what kind it
//! was, and is counted.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A run that is at least so long may be a secret of no known form.
const LONG: usize = 32;

/// Bits a character from which a run looks drawn by lot: words of a language have some 4 at most when they are so long, and
/// hex digits drawn by lot have nearly 4.
const ENTROPY: f64 = 3.5;

/// The known forms, in the order in which they are looked for. Of each match the group `secret` is replaced, or all of it.
static FORMS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let forms = [
        (
            "private-key",
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
        ),
        ("token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        ("key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        (
            "token",
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})",
        ),
        (
            "token",
            r"\b(?:xox[abprs]-[A-Za-z0-9-]{10,}|(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,})",
        ),
        ("token", r"(?i)\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9._~+/=-]{8,})"),
        // A password with a slash in it is none where the port of a host could stand: `http://db:5432/a@b`.
        (
            "credentials",
            r#"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<secret>[^\s/@:]*:(?:[^\s/@]+|[^\s/@]*[^\s/@0-9][^\s/@]*/[^\s@"'<>]*))@"#,
        ),
        (
            "password",
            r"(?i)<[a-z0-9_:.-]*(?:pass|password|passwd|passphrase|passcode|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key)(?:\s[^<>]*)?>(?P<secret>[^<]*[^<\s][^<]*)</",
        ),
        (
            "password",
            r#"(?i)[a-z0-9_.-]*(?:password|passwd|passphrase|passcode|pwd|[_.-]pass|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key)(?:\\*["'])?\s*[:=]+\s*(?P<secret>\\+"[^"]*"|\\+'[^']*'|"[^"]+"|'[^']+'|[^\s,;]+)"#,
        ),
        // As a word of its own `pass:` may be the first of two.
        (
            "password",
            r#"(?i)\b[a-z0-9_.-]*pass(?:\\*["']\s*[:=]+|=+)\s*(?P<secret>\\+"[^"]*"|\\+'[^']*'|"[^"]+"|'[^']+'|[^\s,;]+)"#,
        ),
        (
            "password",
            r#"(?i)(?:^|\s)--?[a-z0-9-]*(?:password|passwd|passphrase|pass|pwd|secret|token|api-?key)\s+(?P<secret>"[^"]+"|'[^']+'|[^\s-]\S*)"#,
        ),
        (
            "credentials",
            r#"(?i)(?:^|\s)(?:-u|--user|--proxy-user)[\s=]*(?P<secret>"[^":]+:[^"]+"|'[^':]+:[^']+'|[^\s:"']+:\S+)"#,
        ),
        (
            "password",
            r#"(?i)\b(?:password|passwd|passphrase|pwd|passcode)\s+(?:is|was)\s+(?P<secret>"[^"]+"|'[^']+'|[^\s,;]+)"#,
        ),
        (
            "password",
            r#"(?i)\b(?:secret|token|api[ _-]?key)\s+(?:is|was)\s+(?P<secret>"[^"]+"|'[^']+'|[^\s,;]*[0-9][^\s,;]*)"#,
        ),
        ("email", r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\b"),
    ];
    forms
        .into_iter()
        .map(|(name, form)| {
            (
                name,
                Regex::new(form).expect("the forms are constants, compiled by a test"),
            )
        })
        .collect()
});

/// A run of characters of which keys are made.
static RUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_=-]{32,}").expect("a constant, compiled by a test"));

/// A text without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The text.
    pub text: String,
    /// How many secrets were in it.
    pub count: usize,
}

/// Takes the secrets out of a text.
#[must_use]
pub fn redact(text: &str) -> Redacted {
    let mut count = 0;
    let mut text = Cow::Borrowed(text);
    for (name, form) in FORMS.iter() {
        let replaced = form.replace_all(&text, |found: &Captures<'_>| {
            let Some(whole) = found.get(0) else {
                return String::new();
            };
            let secret = found.name("secret").unwrap_or(whole);
            // What an earlier form has replaced is no secret any more.
            let (from, to) = (secret.start() - whole.start(), secret.end() - whole.start());
            let before = whole.as_str().get(..from).unwrap_or_default();
            let after = whole.as_str().get(to..).unwrap_or_default();
            if secret.as_str().starts_with("[redacted:") || says_how_it_is(before, secret.as_str()) {
                return whole.as_str().to_owned();
            }
            count += 1;
            format!("{before}[redacted:{name}]{after}")
        });
        text = Cow::Owned(replaced.into_owned());
    }
    let text = RUN.replace_all(&text, |found: &Captures<'_>| {
        let run = found.get(0).map_or("", |run| run.as_str());
        if !is_drawn_by_lot(run) {
            return run.to_owned();
        }
        count += 1;
        "[redacted:random]".to_owned()
    });
    let text = text.into_owned();
    Redacted { text, count }
}

/// Tells whether a word says how a password is, and not which: "the password is wrong".
fn says_how_it_is(before: &str, word: &str) -> bool {
    const WORDS: [&str; 24] = [
        "a",
        "an",
        "correct",
        "empty",
        "expired",
        "hidden",
        "in",
        "incorrect",
        "invalid",
        "known",
        "missing",
        "needed",
        "no",
        "not",
        "required",
        "reset",
        "rotated",
        "set",
        "stored",
        "the",
        "too",
        "unknown",
        "weak",
        "wrong",
    ];
    let before = before.trim_end().to_lowercase();
    let word = word.trim_end_matches(['.', '!', '?', ':']).to_lowercase();
    (before.ends_with(" is") || before.ends_with(" was")) && WORDS.contains(&word.as_str())
}

/// Letters and digits in a run that no word or path makes: mixed, and each about as frequent as the others.
fn is_drawn_by_lot(run: &str) -> bool {
    let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = run.bytes().any(|byte| byte.is_ascii_alphabetic());
    // A path or a compound has its words between signs: its longest piece is short.
    let longest = run.split(['/', '-', '_']).map(str::len).max().unwrap_or(0);
    run.len() >= LONG && has_digit && has_letter && longest >= LONG / 2 && entropy(run) >= ENTROPY
}

/// Bits a character, by how often each comes.
fn entropy(run: &str) -> f64 {
    let mut counts = [0_u32; 128];
    for byte in run.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let all = f64::from(counts.iter().sum::<u32>().max(1));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_of_known_forms_are_gone_and_counted() {
        let cases = [
            ("key AKIAIOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
            ("Authorization: Bearer abc.def-ghi123", "abc.def-ghi123"),
            ("postgres://bob:hunter2@db:5432/x", "hunter2"),
            ("DB_PASSWORD=hunter2 and on", "hunter2"),
            (r#"{"apiKey": "a b c"}"#, "a b c"),
            ("mail ann.lee@example.co.uk now", "ann.lee@"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl", "eyJ"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
                "MIIB",
            ),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "cut off"),
            (
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----",
                "lQOY",
            ),
            ("mysql --user root --password hunter2 -h db", "hunter2"),
            ("login --client-secret 'a b' now", "a b"),
            ("curl -u ann:hunter2 https://db", "ann:hunter2"),
            ("curl --user 'ann:hunter 2' https://db", "hunter 2"),
            ("The password is swordfish, they said", "swordfish"),
            ("my passphrase was \"open sesame\"", "open sesame"),
            ("the API key is k3y and fine", "k3y"),
            ("export DB_PASS=hunter2", "hunter2"),
            ("SMTP_PASS: 'hunter 2'", "hunter 2"),
            ("login?user=bob&pass=hunter2", "hunter2"),
            ("passphrase: hunter2", "hunter2"),
            ("gpg --passphrase=hunter2 -d x", "hunter2"),
            ("credentials=hunter2", "hunter2"),
            (r#"log {\"password\":\"hunter2\"} end"#, "hunter2"),
            (r#"log {\"user\":\"a\",\"db_pass\": \"hunter 2\"}"#, "hunter 2"),
            ("<password>hunter2</password>", "hunter2"),
            (r#"<db:token kind="x"> hunter 2 </db:token>"#, "hunter 2"),
            ("postgres://bob:hun/ter2@db", "ter2"),
            ("postgres://bob:hun/ter2@db", "hun/"),
            (
                "hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
                "9f86d081884c7d65",
            ),
        ];
        for (text, secret) in cases {
            let found = redact(text);
            assert!(!found.text.contains(secret), "{}", found.text);
            assert_eq!(found.count, 1, "{text}: {}", found.text);
        }
    }

    #[test]
    fn prose_paths_and_identifiers_stay() {
        for text in [
            "The retry of the payment service failed twice, then a longer pause helped.",
            "The password is wrong. The token is expired, and a secret is no secret.",
            "The first pass: all green. See http://db:5432/list/ann@host, and <b>bold</b> words.",
            "Run it with --user root --verbose and -u admin.",
            "see services/knowledge/src/routes/knowledge/create_and_change_items.rs",
            "AVeryLongIdentifierOfSomeJavaClassThatHasNoDigitInIt",
            "0001-use-postgres-for-the-system-of-record-of-2026",
        ] {
            assert_eq!(
                redact(text),
                Redacted {
                    text: text.to_owned(),
                    count: 0
                }
            );
        }
    }

    proptest! {
        #[test]
        fn a_password_beside_its_name_never_stays(
            before in "[a-zA-Z ]{0,20}", secret in "[a-z0-9!#%]{6,20}Q", after in "( [a-z]{0,9}){0,3}",
        ) {
            let text = format!("{before} password={secret}{after}");
            prop_assert!(!redact(&text).text.contains(&secret));
        }

        #[test]
        fn what_was_redacted_is_redacted_already(text in "(\\PC|password=|a@b.c |://x:y@){0,20}") {
            let once = redact(&text);
            let twice = redact(&once.text);
            prop_assert_eq!(twice.text, once.text);
        }
    }
}
