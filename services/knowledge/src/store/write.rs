//! The one way to change an item.
//!
//! Writers of a tenant stand in a row at its head; what a write does is decided by [`change::plan`] while the head is held.
//! The tenant's policies are asked then as well, about what the item says, what it shall say, and what it takes the place of:
//! the request may be silent about all three. When an item that supersedes another is accepted, the other is superseded in the
//! same transaction. How a change is kept is told in [`super::rows`].

use sqlx::{PgConnection, PgPool};

use aeterna_kit::db::{self, tenant_tx};
use aeterna_policy::rbac::{Action as Permission, action};

use crate::by::By;
use crate::item::change::{self, Action, Plan, Precondition, Refusal};
use crate::item::draft::{self, Draft};
use crate::item::{Attributes, Snapshot, Status, Stored};
use crate::path::ItemPath;
use crate::permissions::{about, about_stored, required, touching};

/// Why nothing was written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The draft is no item.
    #[error(transparent)]
    Invalid(#[from] draft::Invalid),
    /// The rules of an item's life say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another item's path is in the way.
    #[error("the path collides with {}: items differ by more than case, and no item lies below another", name(.0.as_deref()))]
    Collision(Option<String>),
    /// The item that it takes the place of cannot be superseded.
    #[error("{path} cannot be superseded: {why}")]
    Predecessor {
        /// The other item's path.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// The tenant's policies do not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The transaction did not begin.
    #[error(transparent)]
    Begin(#[from] db::Error),
}

/// The item in the way, where the caller may know of it.
fn name(path: Option<&str>) -> &str {
    path.unwrap_or("another item")
}

/// What an item shall be next.
#[derive(Debug, Clone)]
pub enum Next {
    /// What a caller sends.
    Draft(Box<Draft>),
    /// What it is now, in another status.
    Status(Status),
}

/// An item to write.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where.
    pub path: ItemPath,
    /// What.
    pub next: Next,
    /// What must be there.
    pub demanded: Precondition,
    /// What its author says about the change.
    pub message: Option<String>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: it said this already.
    Unchanged,
    /// It is new.
    Created,
    /// It says something else now.
    Changed,
}

/// What a write did, and what is there now.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// What it did.
    pub outcome: Outcome,
    /// What is there.
    pub stored: Stored,
}

/// Writes one item.
///
/// # Errors
/// [`Error`] says why nothing was written.
pub async fn put(pool: &PgPool, by: &By, wanted: Wanted) -> Result<Written, Error> {
    let mut tx = tenant_tx(pool, &by.scope).await?;
    let written = db::timed("knowledge_put", async {
        let mut writer = Writer::new(&mut tx, by, Absent::Refused);
        writer.lock().await?;
        writer.put(wanted).await
    });
    let written = written.await?;
    tx.commit().await?;
    Ok(written)
}

/// Deletes one item; its versions stay.
///
/// # Errors
/// [`Error`] says why it is still there.
pub async fn delete(pool: &PgPool, by: &By, path: &ItemPath, demanded: Precondition) -> Result<(), Error> {
    let mut tx = tenant_tx(pool, &by.scope).await?;
    let mut writer = Writer::new(&mut tx, by, Absent::Refused);
    writer.lock().await?;
    let old = writer.fetch(path.as_str()).await?.filter(|old| writer.sees(old));
    // Before anything is told of it.
    match &old {
        Some(old) if !old.deleted => writer.ask(touching(old, &by.rights), &old.path, &old.snapshot.attributes)?,
        Some(_) | None => writer.ask_by_path(action::KNOWLEDGE_READ, path.as_str())?,
    }
    change::plan_delete(old.as_ref(), demanded, &by.rights)?;
    if let Some(old) = old {
        writer.append(&old, &old.snapshot, Action::Deleted, None).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What becomes of an item whose predecessor is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is refused.
    Refused,
    /// It is written: it tells of something that was elsewhere.
    History,
}

/// Writes items of one tenant, in one transaction.
pub(super) struct Writer<'a> {
    pub(super) tx: &'a mut PgConnection,
    pub(super) by: &'a By,
    absent: Absent,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tx: &'a mut PgConnection, by: &'a By, absent: Absent) -> Self {
        Self { tx, by, absent }
    }
}

impl Writer<'_> {
    /// Tells whether the caller may know of an item, by its rights and by the policies.
    pub(super) fn sees(&self, stored: &Stored) -> bool {
        let attributes = &stored.snapshot.attributes;
        let about = about_stored(action::KNOWLEDGE_READ, &stored.path, attributes);
        self.by.rights.may_read(&stored.author, attributes.status) && self.by.judge.allows(about)
    }

    pub(super) async fn lock(&mut self) -> sqlx::Result<()> {
        let tenant = self.by.scope.tenant().as_str();
        sqlx::query("insert into knowledge.heads (tenant_id) values ($1) on conflict do nothing")
            .bind(tenant)
            .execute(&mut *self.tx)
            .await?;
        sqlx::query("select from knowledge.heads where tenant_id = $1 for update")
            .bind(tenant)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Writes one item, and reads it back.
    pub(super) async fn put(&mut self, wanted: Wanted) -> Result<Written, Error> {
        let path = wanted.path.to_string();
        let old = self.fetch(&path).await?;
        let (outcome, _) = self.write(old, wanted).await?;
        let stored = self.fetch(&path).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(Written { outcome, stored })
    }

    /// Writes one item over what is at its path, live or deleted, and returns its version.
    pub(super) async fn write(&mut self, old: Option<Stored>, wanted: Wanted) -> Result<(Outcome, i64), Error> {
        let Wanted {
            path,
            next,
            demanded,
            message,
        } = wanted;
        // Whoever may not write learns nothing of what is there.
        if !self.by.rights.may_write() {
            return Err(Refusal::MayNotWrite.into());
        }
        let live = old.as_ref().filter(|old| !old.deleted);
        if live.is_some_and(|old| !self.sees(old)) {
            return Err(Error::Collision(None));
        }
        let snapshot = resolve(next, &path, live)?;
        let action = match (change::plan(old.as_ref(), &snapshot, demanded, &self.by.rights)?, &old) {
            (Plan::Keep, Some(stored)) => return Ok((Outcome::Unchanged, stored.version)),
            (Plan::Store(action), _) => action,
            (Plan::Keep, None) => Action::Created,
        };
        self.ask_about(&path, live, &snapshot.attributes, action)?;
        self.check_way(&path).await?;
        if takes_a_place(live, &snapshot.attributes) {
            self.supersede(&path, snapshot.attributes.supersedes.as_deref()).await?;
        }
        match &old {
            Some(old) => self.append(old, &snapshot, action, message.as_deref()).await?,
            None => self.insert(&path, &snapshot, message.as_deref()).await?,
        }
        let outcome = if action == Action::Created {
            Outcome::Created
        } else {
            Outcome::Changed
        };
        Ok((outcome, old.map_or(1, |old| old.version + 1)))
    }

    /// Asks the policies about what an item shall say, and about what it says: whoever may not change the one does not get
    /// around that by sending the other.
    fn ask_about(
        &self,
        path: &ItemPath,
        live: Option<&Stored>,
        wanted: &Attributes,
        action: Action,
    ) -> Result<(), Error> {
        let brings = required(Some(wanted.status));
        self.ask(brings, path.as_str(), wanted)?;
        let Some(old) = live else { return Ok(()) };
        let says = &old.snapshot.attributes;
        self.ask(brings, path.as_str(), says)?;
        // Who accepts a proposal as it stands does not edit it.
        if action == Action::Moved && wanted.status == Status::Accepted {
            return Ok(());
        }
        self.ask(touching(old, &self.by.rights), path.as_str(), says)
    }

    fn ask(&self, permission: Permission, path: &str, attributes: &Attributes) -> Result<(), Error> {
        let asked = self.by.judge.check(about_stored(permission, path, attributes));
        asked.map_err(|refused| Error::Forbidden(refused.detail))
    }

    /// Asks about a path of which nothing is to be told, not even that nothing is there.
    fn ask_by_path(&self, permission: Permission, path: &str) -> Result<(), Error> {
        let asked = self.by.judge.check(about(permission, path, [""; 3]));
        asked.map_err(|refused| Error::Forbidden(refused.detail))
    }

    pub(super) async fn fetch(&mut self, path: &str) -> sqlx::Result<Option<Stored>> {
        sqlx::query_as("select * from knowledge.fetch($1, $2)")
            .bind(self.by.scope.tenant().as_str())
            .bind(path)
            .fetch_optional(&mut *self.tx)
            .await
    }

    /// Fetches what is at some paths, live or deleted.
    pub(super) async fn fetch_many(&mut self, paths: &[&str]) -> sqlx::Result<Vec<Stored>> {
        sqlx::query_as("select f.* from unnest($2::text[]) p (path), knowledge.fetch($1, p.path) f")
            .bind(self.by.scope.tenant().as_str())
            .bind(paths)
            .fetch_all(&mut *self.tx)
            .await
    }

    /// Refuses a path that another live item is in the way of: by case alone, as a folder above it, or below it. Which one
    /// is told to who may read it.
    async fn check_way(&mut self, path: &ItemPath) -> Result<(), Error> {
        let folded = path.folded();
        let in_the_way: Option<(String, String, String, String, String)> = sqlx::query_as(
            // Each half has its way through the index; one condition with both has none, and reads the whole table.
            "(select path, author, kind, layer, status from knowledge.items
              where tenant_id = $1 and deleted_at is null and folded = any(array_append($4, $3)) and path <> $2 limit 1)
             union all
             (select path, author, kind, layer, status from knowledge.items
              where tenant_id = $1 and deleted_at is null and folded > $3 || '/' and folded < $3 || '0'
              order by folded limit 1)
             limit 1",
        )
        .bind(self.by.scope.tenant().as_str())
        .bind(path.as_str())
        .bind(&folded)
        .bind(path.folded_folders())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some((other, author, kind, layer, status)) = in_the_way else {
            return Ok(());
        };
        let may_read = Status::parse(&status).is_some_and(|status| self.by.rights.may_read(&author, status));
        let about = about(action::KNOWLEDGE_READ, &other, [&kind, &layer, &status]);
        let may_know = may_read && self.by.judge.allows(about);
        Err(Error::Collision(may_know.then_some(other)))
    }

    async fn supersede(&mut self, path: &ItemPath, predecessor: Option<&str>) -> Result<(), Error> {
        let Some(predecessor) = predecessor else { return Ok(()) };
        let refuse = |why| {
            Err(Error::Predecessor {
                path: predecessor.to_owned(),
                why,
            })
        };
        if predecessor == path.as_str() {
            return refuse("an item does not supersede itself");
        }
        // By its path first: what is forbidden there is not told, not even that it is not there.
        self.ask_by_path(action::KNOWLEDGE_EDIT, predecessor)?;
        let found = self.fetch(predecessor).await?;
        let Some(old) = found.filter(|old| !old.deleted && self.sees(old)) else {
            return match self.absent {
                Absent::History => Ok(()),
                Absent::Refused => refuse("there is no such item"),
            };
        };
        match (old.snapshot.attributes.status, old.superseded_by.as_deref()) {
            (Status::Superseded, Some(by)) if by == path.as_str() => return Ok(()),
            (Status::Superseded, Some(_)) => return refuse("another item has taken its place"),
            (status, _) if !status.may_become(Status::Superseded) => return refuse("it never held"),
            _ => {}
        }
        self.bury(&old, Some(path)).await
    }

    /// Makes an item superseded, by another or by one that is not here.
    pub(super) async fn bury(&mut self, old: &Stored, successor: Option<&ItemPath>) -> Result<(), Error> {
        let mut snapshot = old.snapshot.clone();
        self.ask(action::KNOWLEDGE_EDIT, &old.path, &snapshot.attributes)?;
        snapshot.attributes.status = Status::Superseded;
        self.append(old, &snapshot, Action::Superseded, None).await?;
        self.tell_successor(old, successor).await?;
        Ok(())
    }
}

/// Makes the snapshot that an item shall have.
fn resolve(next: Next, path: &ItemPath, live: Option<&Stored>) -> Result<Snapshot, Error> {
    match next {
        Next::Draft(draft) => Ok(draft.resolve(path, live.map(|old| old.snapshot.attributes.status))?),
        Next::Status(status) => {
            let mut snapshot = live.ok_or(Refusal::Absent)?.snapshot.clone();
            snapshot.attributes.status = status;
            Ok(snapshot)
        }
    }
}

/// Tells whether a write takes the place of another item: when it is accepted, or is and names another now. Whatever becomes of
/// the other later, what took its place goes on.
fn takes_a_place(live: Option<&Stored>, wanted: &Attributes) -> bool {
    let took = |old: &Stored| {
        let says = &old.snapshot.attributes;
        says.status == Status::Accepted && says.supersedes == wanted.supersedes
    };
    wanted.status == Status::Accepted && !live.is_some_and(took)
}
