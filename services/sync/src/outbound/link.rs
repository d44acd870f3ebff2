//! Where one document says that the next one is. Pure.

use reqwest::Url;

use super::parse_url;
use crate::job::{Class, Failure};

/// Finds the next document in a `Link` header (RFC 8288).
pub(crate) fn next(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            let is_rel = name.trim().eq_ignore_ascii_case("rel");
            (is_rel
                && value
                    .split_ascii_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next")))
            .then_some(())
        };
        parameters.split(';').find_map(is_next).map(|()| target.to_owned())
    })
}

/// Returns the URL of a next document that is named relative to the one that names it.
///
/// # Errors
/// `FEED_UNREADABLE` when it is none of the web.
pub(crate) fn resolve(from: &Url, next: &str) -> Result<Url, Failure> {
    let strange = |message: &str| Failure::new(Class::Data, "FEED_UNREADABLE", format!("the next document: {message}"));
    let next = from.join(next).map_err(|_| strange("this is not a URL"))?;
    parse_url(next.as_str()).map_err(strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_document_is_found_in_a_link_header() {
        let github = r#"<https://x/feed?page=1>; rel="prev", <https://x/feed?page=3>; rel="next", <https://x/feed?page=9>; rel="last""#;
        assert_eq!(next(github).as_deref(), Some("https://x/feed?page=3"));
        assert_eq!(next("<b>; title=x; REL=next").as_deref(), Some("b"));
        for none in ["", "<a>", "<a>; rel=prev", "a; rel=next", "<a; rel=next"] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn the_next_document_is_relative_to_the_one_that_names_it_and_of_the_web() {
        let from = Url::parse("https://example.com/a/feed").expect("a URL");
        assert_eq!(
            resolve(&from, "?page=2").expect("a URL").as_str(),
            "https://example.com/a/feed?page=2"
        );
        assert!(resolve(&from, "file:///etc/passwd").is_err() && resolve(&from, "https://a@b/").is_err());
    }
}
