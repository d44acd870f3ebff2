//! The one way to change an item.
//!
//! Writers of a tenant stand in a row at its head; what a write does is decided by [`change::plan`] while the head is held.
//! Each change adds a version and raises the head's number. When an item that supersedes another is accepted, the other is
//! superseded in the same transaction.

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, tenant_tx};

use crate::access::Rights;
use crate::item::change::{self, Action, Plan, Precondition, Refusal};
use crate::item::draft::{self, Draft};
use crate::item::{Snapshot, Status, Stored};
use crate::links::{Reference, references};
use crate::path::ItemPath;

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

/// An item to write.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where.
    pub path: ItemPath,
    /// What.
    pub draft: Draft,
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
pub async fn put(pool: &PgPool, scope: &TenantScope, rights: &Rights, wanted: Wanted) -> Result<Written, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let written = db::timed("knowledge_put", put_in(&mut tx, scope, rights, wanted)).await?;
    tx.commit().await?;
    Ok(written)
}

/// Writes one item in a transaction of the tenant's scope.
///
/// # Errors
/// [`Error`] says why nothing was written.
pub async fn put_in(
    tx: &mut PgConnection,
    scope: &TenantScope,
    rights: &Rights,
    wanted: Wanted,
) -> Result<Written, Error> {
    let mut writer = Writer::new(tx, scope, rights);
    writer.lock().await?;
    writer.put(wanted).await
}

/// Deletes one item; its versions stay.
///
/// # Errors
/// [`Error`] says why it is still there.
pub async fn delete(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    path: &ItemPath,
    demanded: Precondition,
) -> Result<(), Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let mut writer = Writer::new(&mut tx, scope, rights);
    writer.lock().await?;
    let old = writer
        .fetch(path.as_str())
        .await?
        .filter(|old| is_readable(rights, old));
    change::plan_delete(old.as_ref(), demanded, rights)?;
    if let Some(old) = old {
        writer.append(&old, &old.snapshot, Action::Deleted, None).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn is_readable(rights: &Rights, stored: &Stored) -> bool {
    rights.may_read(&stored.author, stored.snapshot.attributes.status)
}

/// Writes items of one tenant, in one transaction.
pub(super) struct Writer<'a> {
    tx: &'a mut PgConnection,
    scope: &'a TenantScope,
    rights: &'a Rights,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tx: &'a mut PgConnection, scope: &'a TenantScope, rights: &'a Rights) -> Self {
        Self { tx, scope, rights }
    }
}

impl Writer<'_> {
    pub(super) fn may_read(&self, stored: &Stored) -> bool {
        is_readable(self.rights, stored)
    }

    fn tenant(&self) -> &str {
        self.scope.tenant().as_str()
    }

    pub(super) async fn lock(&mut self) -> sqlx::Result<()> {
        let tenant = self.scope.tenant().as_str();
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

    pub(super) async fn put(&mut self, wanted: Wanted) -> Result<Written, Error> {
        let Wanted {
            path,
            draft,
            demanded,
            message,
        } = wanted;
        // Whoever may not write learns nothing of what is there.
        if !self.rights.may_write() {
            return Err(Refusal::MayNotWrite.into());
        }
        let old = self.fetch(path.as_str()).await?;
        let live = old.as_ref().filter(|old| !old.deleted);
        if live.is_some_and(|old| !is_readable(self.rights, old)) {
            return Err(Error::Collision(None));
        }
        let snapshot = draft.resolve(&path, live.map(|old| old.snapshot.attributes.status))?;
        let action = match (change::plan(old.as_ref(), &snapshot, demanded, self.rights)?, &old) {
            (Plan::Keep, Some(stored)) => {
                let (outcome, stored) = (Outcome::Unchanged, stored.clone());
                return Ok(Written { outcome, stored });
            }
            (Plan::Store(action), _) => action,
            (Plan::Keep, None) => Action::Created,
        };
        self.check_way(&path).await?;
        if snapshot.attributes.status == Status::Accepted {
            self.supersede(&path, snapshot.attributes.supersedes.as_deref()).await?;
        }
        match &old {
            Some(old) => self.append(old, &snapshot, action, message.as_deref()).await?,
            None => self.insert(&path, &snapshot, message.as_deref()).await?,
        }
        let stored = self.fetch(path.as_str()).await?.ok_or(sqlx::Error::RowNotFound)?;
        let outcome = if action == Action::Created {
            Outcome::Created
        } else {
            Outcome::Changed
        };
        Ok(Written { outcome, stored })
    }

    pub(super) async fn fetch(&mut self, path: &str) -> sqlx::Result<Option<Stored>> {
        sqlx::query_as("select * from knowledge.fetch($1, $2)")
            .bind(self.scope.tenant().as_str())
            .bind(path)
            .fetch_optional(&mut *self.tx)
            .await
    }

    /// Refuses a path that another live item is in the way of: by case alone, as a folder above it, or below it. Which one
    /// is told to who may read it.
    async fn check_way(&mut self, path: &ItemPath) -> Result<(), Error> {
        let folded = path.folded();
        let in_the_way: Option<(String, String, String)> = sqlx::query_as(
            "select path, author, status from knowledge.items
             where tenant_id = $1 and deleted_at is null and path <> $2
               and (folded = $3 or folded = any($4) or (folded > $3 || '/' and folded < $3 || '0')) limit 1",
        )
        .bind(self.scope.tenant().as_str())
        .bind(path.as_str())
        .bind(&folded)
        .bind(path.folded_folders())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some((other, author, status)) = in_the_way else {
            return Ok(());
        };
        let status = Status::parse(&status);
        let may_know = status.is_some_and(|status| self.rights.may_read(&author, status));
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
        let Some(old) = self
            .fetch(predecessor)
            .await?
            .filter(|old| !old.deleted && is_readable(self.rights, old))
        else {
            return refuse("there is no such item");
        };
        let status = old.snapshot.attributes.status;
        match (status, old.superseded_by.as_deref()) {
            (Status::Superseded, Some(by)) if by == path.as_str() => return Ok(()),
            (Status::Superseded, Some(_)) => return refuse("another item has taken its place"),
            _ if !status.may_become(Status::Superseded) => return refuse("it never held"),
            _ => {}
        }
        let mut snapshot = old.snapshot.clone();
        snapshot.attributes.status = Status::Superseded;
        self.append(&old, &snapshot, Action::Superseded, None).await
    }

    async fn insert(&mut self, path: &ItemPath, snapshot: &Snapshot, message: Option<&str>) -> Result<(), Error> {
        let attributes = &snapshot.attributes;
        let id: Uuid = sqlx::query_scalar(
            "insert into knowledge.items (tenant_id, path, folded, kind, layer, status, severity, title, tags, supersedes,
                author, version, words)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, knowledge.words($1, $8, $9, $12))
             returning item_id",
        )
        .bind(self.scope.tenant().as_str())
        .bind(path.as_str())
        .bind(path.folded())
        .bind(attributes.kind.as_str())
        .bind(attributes.layer.as_str())
        .bind(attributes.status.as_str())
        .bind(attributes.severity.as_str())
        .bind(&attributes.title)
        .bind(&attributes.tags)
        .bind(attributes.supersedes.as_deref())
        .bind(self.rights.subject())
        .bind(&snapshot.body)
        .fetch_one(&mut *self.tx)
        .await?;
        self.refer(id, &references(path, snapshot)).await?;
        self.record(id, 1, snapshot, Action::Created, message).await
    }

    /// Makes a snapshot the next version of an item.
    async fn append(
        &mut self,
        old: &Stored,
        snapshot: &Snapshot,
        action: Action,
        message: Option<&str>,
    ) -> Result<(), Error> {
        let attributes = &snapshot.attributes;
        sqlx::query(
            "update knowledge.items set kind = $3, layer = $4, status = $5, severity = $6, title = $7, tags = $8,
                supersedes = $9, version = version + 1, updated_at = now(), words = knowledge.words($1, $7, $8, $12),
                created_at = case when $10 = 'created' then now() else created_at end,
                author = case when $10 = 'created' then $11 else author end,
                deleted_at = case when $10 = 'deleted' then now() end
             where tenant_id = $1 and item_id = $2",
        )
        .bind(self.tenant().to_owned())
        .bind(old.id)
        .bind(attributes.kind.as_str())
        .bind(attributes.layer.as_str())
        .bind(attributes.status.as_str())
        .bind(attributes.severity.as_str())
        .bind(&attributes.title)
        .bind(&attributes.tags)
        .bind(attributes.supersedes.as_deref())
        .bind(action.as_str())
        .bind(self.rights.subject())
        .bind(&snapshot.body)
        .execute(&mut *self.tx)
        .await?;
        match action {
            Action::Created | Action::Changed => {
                let path = ItemPath::parse(&old.path).map_err(|error| sqlx::Error::Decode(error.into()))?;
                self.refer(old.id, &references(&path, snapshot)).await?;
            }
            Action::Deleted => self.refer(old.id, &[]).await?,
            // It says what it said.
            Action::Moved | Action::Superseded => {}
        }
        self.record(old.id, old.version + 1, snapshot, action, message).await
    }

    async fn refer(&mut self, item: Uuid, references: &[Reference]) -> sqlx::Result<()> {
        super::graph::refer(self.tx, self.scope.tenant().as_str(), item, references).await
    }

    async fn record(
        &mut self,
        id: Uuid,
        version: i64,
        snapshot: &Snapshot,
        action: Action,
        message: Option<&str>,
    ) -> Result<(), Error> {
        sqlx::query(
            "with head as (update knowledge.heads set changes = changes + 1 where tenant_id = $1)
             insert into knowledge.versions (tenant_id, item_id, version, action, status, attributes, body, content_hash,
                message, author, owner, change)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                (select author from knowledge.items where tenant_id = $1 and item_id = $2),
                (select changes + 1 from knowledge.heads where tenant_id = $1))",
        )
        .bind(self.scope.tenant().as_str())
        .bind(id)
        .bind(version)
        .bind(action.as_str())
        .bind(snapshot.attributes.status.as_str())
        .bind(Json(&snapshot.attributes))
        .bind(&snapshot.body)
        .bind(snapshot.hash().as_slice())
        .bind(message)
        .bind(self.rights.subject())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
