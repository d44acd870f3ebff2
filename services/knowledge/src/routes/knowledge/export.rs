//! A folder as a tar archive, for who accepts `application/x-tar`.
//!
//! Sent while it is read, page by page; all pages show the tenant's knowledge as it was when the first was asked for. When the
//! database goes away in between, the answer breaks off rather than ends, so half an archive is never taken for a whole one.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;

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

/// Exports at once: each holds up to a page of items, 25 MiB of them, as long as its reader takes. More are told to come back.
pub const AT_ONCE: usize = 8;

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
    /// Held until the last piece is taken, or the reader hangs up.
    _place: OwnedSemaphorePermit,
}

/// Exports a folder.
pub(super) async fn export(asked: &Asked<'_>, folder: &FolderPath) -> Result<Response, Problem> {
    let places = Arc::clone(&asked.state.exports);
    let place = places
        .try_acquire_owned()
        .map_err(|_| Problem::new(Code::Overloaded, "other folders are being exported; try again soon"))?;
    let (pool, scope) = (&asked.state.pool, &asked.caller.scope);
    let head = store::head(pool, scope).await?;
    let begun = Export {
        state: asked.state.clone(),
        scope: scope.clone(),
        rights: asked.rights.clone(),
        folder: folder.clone(),
        head,
        writer: Writer::default(),
        page: store::export(pool, scope, asked.rights, folder, head, "").await?,
        judge: asked.judge.clone(),
        _place: place,
    };
    let pieces = stream::try_unfold(Some(begun), async |export| match export {
        Some(export) => export.step().await.map(Some),
        None => Ok(None),
    });
    Ok(([(header::CONTENT_TYPE, TAR)], Body::from_stream(pieces)).into_response())
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
