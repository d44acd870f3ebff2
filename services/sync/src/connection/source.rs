//! Where items come from: the settings of each type of source, and their checks. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use aeterna_kit::problem::{Code, Problem};

use super::{check_path, check_text};
use crate::{outbound, secrets};

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Markdown files of a directory.
    Directory(Directory),
    /// A feed of JSON records over HTTP.
    HttpNdjson(HttpNdjson),
    /// Markdown files of a git repository.
    Git(Git),
    /// Issues of a repository, through GitHub's REST API.
    Github(Github),
    /// Markdown objects of a bucket that speaks S3.
    S3(S3),
    /// Items of the knowledge service, as memories that point to them.
    KnowledgeToMemory(KnowledgePointers),
}

impl Source {
    /// Returns its type, as a request spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::HttpNdjson(_) => "http_ndjson",
            Self::Git(_) => "git",
            Self::Github(_) => "github",
            Self::S3(_) => "s3",
            Self::KnowledgeToMemory(_) => "knowledge_to_memory",
        }
    }

    /// Returns what a target is told about where its items are from.
    #[must_use]
    pub fn origin(&self) -> &'static str {
        match self {
            Self::Directory(_) | Self::HttpNdjson(_) | Self::Git(_) | Self::Github(_) | Self::S3(_) => "import",
            Self::KnowledgeToMemory(_) => "knowledge",
        }
    }

    /// Returns the name of the secret that the source needs, and the URL that it is sent to; nothing for one without.
    #[must_use]
    pub fn secret(&self) -> Option<(&str, &str)> {
        match self {
            Self::Directory(_) | Self::KnowledgeToMemory(_) => None,
            Self::HttpNdjson(feed) => feed.secret_ref.as_deref().map(|name| (name, feed.url.as_str())),
            Self::Git(git) => git.secret_ref.as_deref().map(|name| (name, git.url.as_str())),
            Self::Github(github) => github.secret_ref.as_deref().map(|name| (name, github.api_url.as_str())),
            Self::S3(bucket) => bucket
                .secret_ref
                .as_deref()
                .map(|name| (name, bucket.endpoint.as_str())),
        }
    }
}

/// Markdown files below a directory that this service can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Directory {
    /// The directory, below the tenant's own: `docs/handbook`. Empty for the tenant's own itself.
    #[serde(default)]
    pub path: String,
}

/// A feed of JSON records: lines of JSON (NDJSON), or JSON documents with `items` and `next`. All documents together list all
/// items; what is no longer listed is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpNdjson {
    /// The first document, http or https. The next one is named by a `Link` header or by `next` in the document.
    pub url: String,
    /// The name of the secret that is sent as a bearer token, to the URL's origin alone; the secret's list of origins must
    /// have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
    /// The field of a record that holds its id; `id` unless said.
    #[serde(default = "id_field")]
    pub id_field: String,
    /// The field of a record that holds its text; `content` unless said.
    #[serde(default = "content_field")]
    pub content_field: String,
}

fn id_field() -> String {
    "id".to_owned()
}

fn content_field() -> String {
    "content".to_owned()
}

/// Items of the knowledge service. Each becomes a memory that says what it is about and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnowledgePointers {
    /// The folder: `teams/blue`. Empty for everything that the job may see.
    #[serde(default)]
    pub path_prefix: String,
    /// Only these kinds: adr, policy, pattern, spec, hindsight, note. Empty for all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Only these statuses: proposed, accepted; accepted unless said. A draft is its author's, and gets no pointer.
    #[serde(default = "accepted")]
    pub status: Vec<String>,
}

fn accepted() -> Vec<String> {
    vec!["accepted".to_owned()]
}

/// The kinds of knowledge.
const KINDS: [&str; 6] = ["adr", "policy", "pattern", "spec", "hindsight", "note"];

/// The statuses of knowledge that a pointer may lead to.
const STATUSES: [&str; 2] = ["proposed", "accepted"];

impl KnowledgePointers {
    /// Tells whether an item of a kind and a status is pointed to.
    #[must_use]
    pub fn wants(&self, kind: &str, status: &str) -> bool {
        let has = |list: &[String], value: &str| list.iter().any(|one| one == value);
        // Drafts were taken once; such a connection may still be there.
        status != "draft" && (self.kinds.is_empty() || has(&self.kinds, kind)) && has(&self.status, status)
    }
}

/// Markdown files of a branch of a git repository, over smart HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Git {
    /// The repository, http or https: `https://example.com/team/docs.git`.
    pub url: String,
    /// The branch; what the repository's HEAD names unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The directory in it: `docs/handbook`. Empty for all of it.
    #[serde(default)]
    pub path: String,
    /// The name of the secret that is shown to the URL's origin alone: a token, or `user:password`. The secret's list of
    /// origins must have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
}

/// Issues of a repository through GitHub's REST API. Each is a Markdown text at `issues/<number>.md`; pull requests and comments
/// are not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Github {
    /// Where the API is, http or https; `https://api.github.com` unless said. On a server of one's own
    /// `https://github.example.com/api/v3`.
    #[serde(default = "github_api")]
    pub api_url: String,
    /// The repository: `owner/name`.
    pub repository: String,
    /// Which issues; all unless said.
    #[serde(default)]
    pub state: IssueState,
    /// The name of the secret that is sent as a bearer token, to the API's origin alone; the secret's list of origins must
    /// have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
}

/// Which issues are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IssueState {
    /// Those that are open; one that is closed is removed.
    Open,
    /// Those that are closed.
    Closed,
    /// Both.
    #[default]
    All,
}

impl IssueState {
    /// Tells whether an issue in a state of GitHub's is wanted.
    #[must_use]
    pub fn wants(self, state: &str) -> bool {
        match self {
            Self::All => true,
            Self::Open => state == "open",
            Self::Closed => state == "closed",
        }
    }
}

fn github_api() -> String {
    "https://api.github.com".to_owned()
}

/// Markdown objects of a bucket, through the API of S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3 {
    /// Where the API is, http or https: `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before the paths of its objects: `docs/handbook`. Empty for all of it.
    #[serde(default)]
    pub prefix: String,
    /// The region that requests are signed for; `us-east-1` unless said.
    #[serde(default = "region")]
    pub region: String,
    /// The name of the secret that requests are signed with: `ACCESS_KEY_ID:SECRET_ACCESS_KEY`. The secret's list of origins
    /// must have the endpoint's. Without one nothing is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
    /// The bucket stands in the path; true unless said. Otherwise the endpoint's host names it:
    /// `https://docs.s3.eu-central-1.amazonaws.com`.
    #[serde(default = "path_style")]
    pub path_style: bool,
}

fn region() -> String {
    "us-east-1".to_owned()
}

fn path_style() -> bool {
    true
}

pub(super) fn check(source: &Source) -> Result<(), Problem> {
    match source {
        Source::Directory(directory) => check_path("/source/config/path", &directory.path)?,
        Source::HttpNdjson(feed) => {
            check_url("/source/config/url", &feed.url)?;
            check_text("/source/config/idField", &feed.id_field)?;
            check_text("/source/config/contentField", &feed.content_field)?;
        }
        Source::KnowledgeToMemory(pointers) => {
            check_path("/source/config/pathPrefix", &pointers.path_prefix)?;
            check_words("/source/config/kinds", &pointers.kinds, &KINDS)?;
            check_statuses(&pointers.status)?;
        }
        Source::Github(github) => {
            check_url("/source/config/apiUrl", &github.api_url)?;
            if !is_repository(&github.repository) {
                let message = "owner/name, such as kubernetes/website";
                return Err(Problem::field(Code::InvalidBody, "/source/config/repository", message));
            }
        }
        Source::S3(bucket) => {
            check_url("/source/config/endpoint", &bucket.endpoint)?;
            check_path("/source/config/prefix", &bucket.prefix)?;
            check_name("/source/config/bucket", &bucket.bucket)?;
            check_name("/source/config/region", &bucket.region)?;
        }
        Source::Git(git) => {
            check_url("/source/config/url", &git.url)?;
            check_path("/source/config/path", &git.path)?;
            if let Some(branch) = git.branch.as_deref().filter(|branch| !is_branch(branch)) {
                let message = format!("{branch:?} is not the name of a branch");
                return Err(Problem::field(Code::InvalidBody, "/source/config/branch", message));
            }
        }
    }
    match source.secret() {
        Some((name, _)) if !secrets::is_name(name) => {
            let message = "the name of a secret: letters, digits, '-', '_' and '.', at most 128";
            Err(Problem::field(Code::InvalidBody, "/source/config/secretRef", message))
        }
        None | Some(_) => Ok(()),
    }
}

/// Tells whether a name is one that a branch may have, less the exotic ones.
fn is_branch(name: &str) -> bool {
    let fits = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.' | '/' | '+' | '#');
    let segment = |segment: &str| !segment.is_empty() && !segment.starts_with(['.', '-']) && !segment.ends_with('.');
    let is_whole = name.len() <= 255 && name.chars().all(fits) && name.split('/').all(segment);
    is_whole && !name.contains("..") && !name.to_ascii_lowercase().ends_with(".lock")
}

/// Tells whether a name is one that GitHub gives: an owner, a slash, the repository's own.
fn is_repository(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let part = |part: &str| (1..=100).contains(&part.len()) && part.chars().all(fits) && part != "." && part != "..";
    name.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

/// Checks the name of a bucket or a region.
fn check_name(pointer: &str, name: &str) -> Result<(), Problem> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if (1..=255).contains(&name.len())
        && name.chars().all(fits)
        && name.starts_with(|char: char| char.is_ascii_alphanumeric())
    {
        return Ok(());
    }
    let message = "letters, digits, '-', '_' and '.', at most 255, and a letter or digit first";
    Err(Problem::field(Code::InvalidBody, pointer, message))
}

/// An editor reads the drafts of others, and so does a job that one starts; through its memories a team would read them.
fn check_statuses(statuses: &[String]) -> Result<(), Problem> {
    let pointer = "/source/config/status";
    if statuses.iter().any(|status| status == "draft") {
        let message = "a draft is read by its author and by editors alone, and a memory of it would be read by others: \
                       propose it first";
        return Err(Problem::field(Code::InvalidBody, pointer, message));
    }
    check_words(pointer, statuses, &STATUSES)
}

fn check_words(pointer: &str, words: &[String], allowed: &[&str]) -> Result<(), Problem> {
    if words.len() <= allowed.len() && words.iter().all(|word| allowed.contains(&word.as_str())) {
        return Ok(());
    }
    let message = format!("each is one of: {}", allowed.join(", "));
    Err(Problem::field(Code::InvalidBody, pointer, message))
}

fn check_url(pointer: &str, url: &str) -> Result<(), Problem> {
    match outbound::parse_url(url) {
        Ok(_) => Ok(()),
        Err(message) => Err(Problem::field(Code::InvalidBody, pointer, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_what_all_may_read() {
        let said = |statuses: &[&str]| statuses.iter().map(ToString::to_string).collect::<Vec<_>>();
        check_statuses(&said(&["proposed", "accepted"])).expect("all may read those");
        check_statuses(&said(&["accepted", "draft"])).expect_err("a draft is its author's");
        check_statuses(&said(&["superseded"])).expect_err("nobody should follow it");
    }

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        for name in ["kubernetes/website", "a/.github", "a-b/c_d.e"] {
            assert!(is_repository(name), "{name}");
        }
        for name in [
            "", "a", "a/", "/a", "a/b/c", "a/..", "./a", "a/b c", "a/ü", "a/b?x", "a/%2e",
        ] {
            assert!(!is_repository(name), "{name}");
        }
    }

    #[test]
    fn a_branch_has_a_name_that_git_would_take() {
        for name in ["main", "release/1.2", "feature_x", "über", "issue-#7"] {
            assert!(is_branch(name), "{name}");
        }
        for name in [
            "", "-x", "a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a b", "a:b", "a^", "a~1", "a*", "@{u}", "a.",
        ] {
            assert!(!is_branch(name), "{name}");
        }
    }
}
