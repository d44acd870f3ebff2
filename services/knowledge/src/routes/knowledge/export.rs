//! A folder as a tar archive, for who accepts `application/x-tar`.
//!
//! Sent while it is read, page by page; all pages show the tenant's knowledge as it was when the first was asked for. When the
//! database goes away in between, or the reader is too slow, the answer breaks off rather than ends, so half an archive is
//! never taken for a whole one. How pieces reach their reader is told in [`pieces`].

mod pieces;
mod places;

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream;

use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use super::get::Asked;
use crate::access::Rights;
use crate::archive::Writer;
use crate::item::front_matter;
use crate::path::FolderPath;
use crate::permissions::about_stored;
use crate::state::State;
use crate::store::{self, Exported};

pub use places::{Place, Places};

/// The media type.
pub(super) const TAR: &str = "application/x-tar";

/// An export under way.
struct Export {
    state: State,
    scope: aeterna_kit::auth::TenantScope,
    rights: Rights,
    folder: FolderPath,
    head: i64,
    writer: Writer,
    page: Vec<Exported>,
    judge: Judge,
}

/// Exports a folder.
pub(super) async fn export(asked: &Asked<'_>, folder: &FolderPath) -> Result<Response, Problem> {
    let place = asked.state.exports.take(asked.by.scope.tenant());
    let place =
        place.ok_or_else(|| Problem::new(Code::Overloaded, "other folders are being exported; try again soon"))?;
    let (pool, scope) = (&asked.state.pool, &asked.by.scope);
    let head = store::head(pool, scope).await?;
    let begun = Export {
        state: asked.state.clone(),
        scope: scope.clone(),
        rights: asked.by.rights.clone(),
        folder: folder.clone(),
        head,
        writer: Writer::default(),
        page: store::export(pool, scope, &asked.by.rights, folder, head, "").await?,
        judge: asked.by.judge.clone(),
    };
    let pages = stream::try_unfold(Some(begun), async |export| match export {
        Some(export) => export.step().await.map(Some),
        None => Ok(None),
    });
    let body = Body::from_stream(pieces::send(pages, place, pieces::PATIENCE));
    Ok(([(header::CONTENT_TYPE, TAR)], body).into_response())
}

impl Export {
    /// Writes the page that it has and fetches the next; after the last, ends the archive.
    async fn step(mut self) -> io::Result<(Bytes, Option<Self>)> {
        let Some(last) = self.page.last() else {
            return Ok((self.writer.finish()?.into(), None));
        };
        let after = last.path.clone();
        let prefix = self.folder.prefix();
        for item in &self.page {
            let about = about_stored(action::KNOWLEDGE_READ, &item.path, &item.snapshot.attributes);
            if !self.judge.allows(about) {
                continue;
            }
            let name = item.path.strip_prefix(&prefix).unwrap_or(&item.path);
            self.writer
                .add(name, &front_matter::render(&item.snapshot), item.changed)?;
        }
        let piece = Bytes::from(self.writer.take());
        self.page = store::export(
            &self.state.pool,
            &self.scope,
            &self.rights,
            &self.folder,
            self.head,
            &after,
        )
        .await
        .inspect_err(|error| tracing::warn!(%error, "an export breaks off"))
        .map_err(io::Error::other)?;
        Ok((piece, Some(self)))
    }
}
