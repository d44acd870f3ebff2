//! `GET /api/v1/knowledge/{path}`: an item, one of its views, or a folder.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::http::extract::{Path, Query};
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::rbac::action;

use super::tag::{Form, etag, is_known};
use super::{diff, export, folder, history, relations, successor};
use crate::by::By;
use crate::item::{Item, Stored, front_matter};
use crate::path::{FolderPath, ItemPath};
use crate::permissions::about_stored;
use crate::routes::refusal::{absent, path_problem};
use crate::state::State;
use crate::store;

/// What to see of an item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// The item.
    #[default]
    Item,
    /// Its versions, the newest first.
    History,
    /// What changed between two versions.
    Diff,
    /// What it is related to: what it links to, cites and supersedes, what does so to it, and what is told with it.
    Relations,
}

/// How to see it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Options {
    /// What to see of an item.
    #[serde(default)]
    pub view: View,
    /// The item as it was in this version.
    pub version: Option<i64>,
    /// `view=diff`: the older version; the one before `to` if nothing says otherwise.
    pub from: Option<i64>,
    /// `view=diff`: the newer version; the one in force if nothing says otherwise.
    pub to: Option<i64>,
    /// `view=relations`: how many steps away, 1 to 5; 1 if nothing is said.
    pub depth: Option<u8>,
    /// A folder, a history or relations: at most so many, 1 to 200.
    pub limit: Option<u16>,
    /// A folder or a history: go on from here.
    pub cursor: Option<String>,
}

impl Options {
    /// Refuses what is said and does nothing: a caller who says it expects something of it.
    fn check(&self, taken: &[&str]) -> Result<(), Problem> {
        let said = [
            ("view", self.view != View::Item),
            ("version", self.version.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("depth", self.depth.is_some()),
            ("limit", self.limit.is_some()),
            ("cursor", self.cursor.is_some()),
        ];
        match said.iter().find(|(name, said)| *said && !taken.contains(name)) {
            Some((name, _)) => {
                let message = format!("{name} does nothing here");
                Err(Problem::field(Code::InvalidParameter, *name, message))
            }
            None => Ok(()),
        }
    }
}

/// An item that the caller may see, and how it is asked for.
pub(super) struct Asked<'a> {
    pub state: &'a State,
    pub by: &'a By,
    pub options: &'a Options,
}

/// Returns an item, as JSON, or as a Markdown file to who accepts text/markdown; one of its views; or, for a path with a
/// slash at its end, what lies in a folder: to who accepts application/x-tar, all that is below it.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{*path}", tag = "knowledge",
    params(
        ("path" = String, Path, description = "The item's path, or a folder's with a slash at its end"),
        Options,
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of what the caller has"),
    ),
    responses(
        (status = 200, description = "The item; a history, a difference, relations or a folder where one is asked for",
            content((Item = "application/json"), (String = "text/markdown"), (String = "application/x-tar"))),
        (status = 304, description = "The caller has it"),
        (status = 400, description = "A parameter or the cursor does not fit"),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this"),
        (status = 404, description = "The tenant has no such item or version, or the caller may not see it"),
        (status = 410, description = "It was deleted"),
        (status = 422, description = "The path does not fit"),
        (status = 503, description = "The database is away, or too many exports are being read; see Retry-After"),
    )
)]
pub async fn get(
    by: By,
    Shared(state): Shared<State>,
    Path(path): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        state: &state,
        by: &by,
        options: &options,
    };
    if path.ends_with('/') {
        let folder = FolderPath::parse(&path).map_err(|error| path_problem("path", &error))?;
        return asked.folder(&folder, &headers).await;
    }
    options.check(match options.view {
        View::Item => &["version"],
        View::History => &["view", "limit", "cursor"],
        View::Diff => &["view", "from", "to"],
        View::Relations => &["view", "depth", "limit"],
    })?;
    let path = ItemPath::parse(&path).map_err(|error| path_problem("path", &error))?;
    let stored = asked.fetch(&path).await?;
    match options.view {
        View::Item => asked.item(&path, stored, &headers).await,
        View::History => asked.history(&stored).await,
        View::Diff => asked.diff(&path, &stored).await,
        View::Relations => Ok(Json(relations::find(&asked, &stored).await?).into_response()),
    }
}

impl Asked<'_> {
    /// Fetches what is in force at a path, live or deleted, if the caller may see it.
    pub(super) async fn fetch(&self, path: &ItemPath) -> Result<Stored, Problem> {
        let stored = store::fetch(&self.state.pool, &self.by.scope, path)
            .await
            .map_err(|error| Problem::database(&error))?
            .filter(|stored| {
                self.by
                    .rights
                    .may_read(&stored.author, stored.snapshot.attributes.status)
            })
            .ok_or_else(|| absent(path))?;
        self.check(&stored)?;
        Ok(stored)
    }

    /// Asks the policies about all that the row says; the path is known to them from the door.
    fn check(&self, stored: &Stored) -> Result<(), Problem> {
        let about = about_stored(action::KNOWLEDGE_READ, &stored.path, &stored.snapshot.attributes);
        self.by.judge.check(about)
    }

    /// Fetches what was at a path in a version, if the caller may see it.
    pub(super) async fn fetch_version(&self, path: &ItemPath, version: i64) -> Result<Stored, Problem> {
        let stored = store::fetch_version(&self.state.pool, &self.by.scope, path, version)
            .await
            .map_err(|error| Problem::database(&error))?
            .filter(|stored| {
                self.by
                    .rights
                    .may_read(&stored.author, stored.snapshot.attributes.status)
            })
            .ok_or_else(|| {
                let detail = format!("the item at {path} has no version {version}");
                Problem::new(Code::VersionNotFound, detail)
            })?;
        self.check(&stored)?;
        Ok(stored)
    }

    async fn item(&self, path: &ItemPath, stored: Stored, headers: &HeaderMap) -> Result<Response, Problem> {
        let stored = match self.options.version {
            Some(version) => self.fetch_version(path, version).await?,
            None if stored.deleted => {
                let detail = format!("the item at {path} was deleted; ?view=history has its versions");
                return Err(Problem::new(Code::KnowledgeDeleted, detail));
            }
            None => stored,
        };
        let stored = successor::hide(&self.state.pool, self.by, stored).await?;
        let form = if prefers(headers, "text/markdown") {
            Form::File
        } else {
            Form::Json
        };
        let mut response = match form {
            _ if is_known(headers, stored.version, form) => StatusCode::NOT_MODIFIED.into_response(),
            Form::File => {
                let markdown = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
                (markdown, front_matter::render(&stored.snapshot)).into_response()
            }
            Form::Json => Json(Item::from(stored.clone())).into_response(),
        };
        let fixed = response.headers_mut();
        for (name, value) in [
            (header::ETAG, etag(stored.version, form)),
            (
                header::LAST_MODIFIED,
                stored.updated_at.strftime("%a, %d %b %Y %T GMT").to_string(),
            ),
            (header::VARY, "Accept".to_owned()),
        ] {
            // Digits, letters and quotes always fit.
            if let Ok(value) = HeaderValue::from_str(&value) {
                fixed.insert(name, value);
            }
        }
        Ok(response)
    }

    pub(super) async fn folder(&self, folder: &FolderPath, headers: &HeaderMap) -> Result<Response, Problem> {
        let mut response = if prefers(headers, export::TAR) {
            self.options.check(&[])?;
            export::export(self, folder).await?
        } else {
            self.options.check(&["limit", "cursor"])?;
            Json(folder::list(self, folder).await?).into_response()
        };
        let vary = HeaderValue::from_static("Accept");
        response.headers_mut().insert(header::VARY, vary);
        Ok(response)
    }

    async fn history(&self, stored: &Stored) -> Result<Response, Problem> {
        history::list(self, stored)
            .await
            .map(|history| Json(history).into_response())
    }

    async fn diff(&self, path: &ItemPath, stored: &Stored) -> Result<Response, Problem> {
        diff::between(self, path, stored)
            .await
            .map(|diff| Json(diff).into_response())
    }

    /// Returns how many entries a page has.
    pub(super) fn limit(&self) -> Result<u16, Problem> {
        let size = page::Size { usual: 50, most: 200 };
        size.check(self.options.limit.map(i64::from))
    }
}

/// Tells whether the caller prefers a media type to JSON, or to whatever there is: by its weight, and of equal ones by its place.
fn prefers(headers: &HeaderMap, wanted: &str) -> bool {
    let named = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut best = (0.0, "");
    for (weight, kind) in named.map(weighed) {
        if [wanted, "application/json", "*/*"].contains(&kind) && weight > best.0 {
            best = (weight, kind);
        }
    }
    best.1 == wanted
}

/// Reads `text/markdown;q=0.5`; who says no weight says 1.
fn weighed(kind: &str) -> (f64, &str) {
    let mut parts = kind.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    // A weight that is none asks for nothing.
    (weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_form_wins_and_of_equal_ones_the_first() {
        for (accept, file) in [
            ("text/markdown", true),
            ("application/json, text/markdown", false),
            ("text/markdown, application/json", true),
            ("text/markdown;q=0.5, application/json", false),
            ("application/json;q=0.5, text/markdown;q=0.8", true),
            ("*/*;q=0.1, text/markdown; q=0.2", true),
            ("text/markdown;q=0", false),
            ("text/markdown;q=many", false),
            ("text/html, */*", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers(&headers, "text/markdown"), file, "{accept}");
        }
        assert!(!prefers(&HeaderMap::new(), "text/markdown"));
    }
}
