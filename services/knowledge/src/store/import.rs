//! Many items in one transaction: all of them, or none.

use std::collections::HashMap;

use sqlx::PgPool;

use aeterna_kit::db::{self, tenant_tx};

use super::write::{Absent, Error, Next, Outcome, Wanted, Writer};
use crate::archive::order::{first_status, sort};
use crate::archive::{FAULTS, Fault, Member};
use crate::by::By;
use crate::item::change::{Precondition, Refusal};
use crate::item::draft::Draft;
use crate::item::{Status, Stored};

/// Members whose items are fetched at once: as many texts of the longest are 16 MiB.
const AT_ONCE: usize = 64;

/// What becomes of an item that is at a member's path already, and says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The import is refused.
    Refuse,
    /// It stays as it is.
    Keep,
    /// The member is its next version.
    Replace,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Some members cannot be written.
    #[error("{} of the members cannot be written", .0.len())]
    Members(Vec<Fault>),
    /// The tenant's policies do not allow some members, or what is at their paths.
    #[error("the tenant's policies do not allow some of the archive's files")]
    Forbidden(Vec<Fault>),
    /// The database did not answer, or not as it should.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What became of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Where it is.
    pub path: String,
    /// What was done.
    pub outcome: Outcome,
    /// Its version now.
    pub version: i64,
}

/// Writes members, predecessors first.
///
/// # Errors
/// [`Failed`] says why nothing was written.
pub async fn import(pool: &PgPool, by: &By, members: Vec<Member>, existing: Existing) -> Result<Vec<Imported>, Failed> {
    let mut tx = tenant_tx(pool, &by.scope).await.map_err(Error::from)?;
    let mut import = Import {
        writer: Writer::new(&mut tx, by, Absent::History),
        existing,
        known: HashMap::new(),
        imported: Vec::with_capacity(members.len()),
        ended: Vec::new(),
        faults: Vec::new(),
        forbidden: Vec::new(),
    };
    db::timed("knowledge_import", import.all(members)).await?;
    let imported = import.result()?;
    tx.commit().await.map_err(Error::from)?;
    Ok(imported)
}

/// An import under way.
struct Import<'a> {
    writer: Writer<'a>,
    existing: Existing,
    /// What was at the paths of the next members, before anything of them was written.
    known: HashMap<String, Option<Stored>>,
    imported: Vec<Imported>,
    /// Members that shall be superseded in the end.
    ended: Vec<String>,
    faults: Vec<Fault>,
    forbidden: Vec<Fault>,
}

impl Import<'_> {
    async fn all(&mut self, members: Vec<Member>) -> Result<(), Error> {
        self.writer.lock().await?;
        let sorted = sort(members);
        for some in sorted.chunks(AT_ONCE) {
            self.look(some).await?;
            for member in some {
                let written = self.put(member).await;
                self.judge(member.path.as_str(), written)?;
                if self.faults.len() + self.forbidden.len() == FAULTS {
                    return Ok(());
                }
            }
        }
        for path in std::mem::take(&mut self.ended) {
            let ended = self.end(&path).await;
            self.judge(&path, ended)?;
        }
        Ok(())
    }

    /// Keeps why a member is not written; what is no fault of the member's ends the import.
    fn judge(&mut self, path: &str, written: Result<(), Error>) -> Result<(), Error> {
        let name = path.to_owned();
        match written {
            Ok(()) => {}
            Err(error @ (Error::Database(_) | Error::Begin(_))) => return Err(error),
            Err(Error::Forbidden(message)) => self.forbidden.push(Fault { name, message }),
            Err(error) => {
                let message = error.to_string();
                self.faults.push(Fault { name, message });
            }
        }
        Ok(())
    }

    fn result(mut self) -> Result<Vec<Imported>, Failed> {
        if !self.forbidden.is_empty() {
            return Err(Failed::Forbidden(self.forbidden));
        }
        if !self.faults.is_empty() {
            return Err(Failed::Members(self.faults));
        }
        self.imported.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.imported)
    }

    async fn look(&mut self, members: &[Member]) -> sqlx::Result<()> {
        let paths: Vec<&str> = members.iter().map(|member| member.path.as_str()).collect();
        let found = self.writer.fetch_many(&paths).await?;
        self.known = paths.into_iter().map(|path| (path.to_owned(), None)).collect();
        self.known
            .extend(found.into_iter().map(|one| (one.path.clone(), Some(one))));
        Ok(())
    }

    /// Returns what is at a path, live or deleted.
    async fn old(&mut self, path: &str) -> sqlx::Result<Option<Stored>> {
        match self.known.remove(path) {
            Some(known) => Ok(known),
            None => self.writer.fetch(path).await,
        }
    }

    /// Writes one member.
    async fn put(&mut self, member: &Member) -> Result<(), Error> {
        let Member { path, text } = member;
        let old = self.old(path.as_str()).await?;
        // Somebody else's draft, or what policies hide, is in the way, and has no say in anything.
        let live = old.as_ref().filter(|old| !old.deleted && self.writer.sees(old));
        let live_status = live.map(|live| live.snapshot.attributes.status);
        let wanted = Draft::new(text.clone()).resolve(path, live_status)?.attributes;
        if let Some(live) = live
            && self.existing == Existing::Keep
        {
            let kept = (Outcome::Unchanged, live.version);
            self.report(path.as_str(), kept, live.snapshot.attributes.status);
            return Ok(());
        }
        let first = first_status(wanted.status, live_status);
        let demanded = match (self.existing, live) {
            (Existing::Replace, Some(_)) => Precondition::Present,
            (Existing::Refuse | Existing::Keep | Existing::Replace, _) => Precondition::Absent,
        };
        let is_new = live.is_none();
        // What it takes the place of is not what it was any more.
        if let Some(predecessor) = &wanted.supersedes {
            self.known.remove(predecessor);
        }
        let (outcome, mut version) = self.writer.write(old, next(member, first, demanded)).await?;
        if is_new && first != wanted.status && wanted.status != Status::Superseded {
            let then = next(member, wanted.status, Precondition::Present);
            version = self.writer.put(then).await?.stored.version;
        }
        self.report(path.as_str(), (outcome, version), wanted.status);
        Ok(())
    }

    fn report(&mut self, path: &str, (outcome, version): (Outcome, i64), wanted: Status) {
        if wanted == Status::Superseded {
            self.ended.push(path.to_owned());
        }
        self.imported.push(Imported {
            path: path.to_owned(),
            outcome,
            version,
        });
    }

    /// Sees to it that a member is superseded: by another of the archive, or, if it is new here, by one that stayed behind.
    async fn end(&mut self, path: &str) -> Result<(), Error> {
        let Some(now) = self.writer.fetch(path).await? else {
            return Ok(());
        };
        let Some(at) = self.imported.iter().position(|one| one.path == path) else {
            return Ok(());
        };
        let is_new = self.imported.get(at).is_some_and(|one| one.outcome == Outcome::Created);
        let mut version = now.version;
        if now.snapshot.attributes.status != Status::Superseded {
            if !is_new {
                return Err(Error::Predecessor {
                    path: path.to_owned(),
                    why: "nothing in the archive takes its place",
                });
            }
            if !self.writer.by.rights.may_edit() {
                return Err(Refusal::MayNotReview.into());
            }
            self.writer.bury(&now, None).await?;
            version += 1;
        }
        if let Some(one) = self.imported.get_mut(at) {
            one.version = version;
        }
        Ok(())
    }
}

/// A member as it is written, in a status on its way.
fn next(member: &Member, status: Status, demanded: Precondition) -> Wanted {
    let draft = Draft {
        status: Some(status),
        ..Draft::new(member.text.clone())
    };
    Wanted {
        path: member.path.clone(),
        next: Next::Draft(Box::new(draft)),
        demanded,
        message: None,
    }
}
