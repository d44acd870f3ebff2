//! A change as it is kept: the item's row, what it refers to, its next version and the head's next number, in one statement.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;

use super::write::{Error, Writer};
use crate::item::change::Action;
use crate::item::{Snapshot, Stored};
use crate::links::references;
use crate::path::ItemPath;

impl Writer<'_> {
    /// Keeps the first version of an item.
    pub(super) async fn insert(
        &mut self,
        path: &ItemPath,
        snapshot: &Snapshot,
        message: Option<&str>,
    ) -> Result<(), Error> {
        let query = sqlx::query(
            "with item as (
                 insert into knowledge.items (tenant_id, path, folded, kind, layer, status, severity, title, tags,
                     supersedes, author, version, words)
                 values ($1, $2, $18, $3, $4, $5, $6, $7, $8, $9, $11, 1, knowledge.words($1, $7, $8, $12))
                 returning item_id
             ), told as (
                 insert into knowledge.links (tenant_id, item_id, kind, target)
                 select $1, item.item_id, w.kind, w.target from item, unnest($13::text[], $14::text[]) w (kind, target)
             ), head as (
                 update knowledge.heads set changes = changes + 1 where tenant_id = $1 returning changes
             )
             insert into knowledge.versions (tenant_id, item_id, version, action, status, attributes, body, content_hash,
                 message, author, owner, change)
             select $1, item.item_id, 1, $10, $5, $15, $12, $16, $17, $11, $11, head.changes from item, head",
        )
        .bind(self.by.scope.tenant().as_str())
        .bind(path.as_str());
        self.bind(query, snapshot, Action::Created, columns(path, snapshot), message)
            .bind(path.folded())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Keeps a snapshot as the next version of an item.
    pub(super) async fn append(
        &mut self,
        old: &Stored,
        snapshot: &Snapshot,
        action: Action,
        message: Option<&str>,
    ) -> Result<(), Error> {
        let path = ItemPath::parse(&old.path).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let (says_other, refers) = match action {
            Action::Created | Action::Changed => (true, columns(&path, snapshot)),
            Action::Deleted => (true, (Vec::new(), Vec::new())),
            // It says what it said.
            Action::Moved | Action::Superseded => (false, (Vec::new(), Vec::new())),
        };
        let query = sqlx::query(
            "with item as (
                 update knowledge.items set kind = $3, layer = $4, status = $5, severity = $6, title = $7, tags = $8,
                     supersedes = $9, version = version + 1, updated_at = now(), words = knowledge.words($1, $7, $8, $12),
                     created_at = case when $10 = 'created' then now() else created_at end,
                     author = case when $10 = 'created' then $11 else author end,
                     superseded_by = case when $10 = 'created' then null else superseded_by end,
                     deleted_at = case when $10 = 'deleted' then now() end
                 where tenant_id = $1 and item_id = $2
                 returning item_id, version, author
             ), wanted as (
                 select * from unnest($13::text[], $14::text[]) w (kind, target)
             ), gone as (
                 delete from knowledge.links l where $18 and l.tenant_id = $1 and l.item_id = $2
                     and not exists (select from wanted w where w.kind = l.kind and w.target = l.target)
             ), told as (
                 insert into knowledge.links (tenant_id, item_id, kind, target)
                 select $1, $2, kind, target from wanted on conflict do nothing
             ), head as (
                 update knowledge.heads set changes = changes + 1 where tenant_id = $1 returning changes
             )
             insert into knowledge.versions (tenant_id, item_id, version, action, status, attributes, body, content_hash,
                 message, author, owner, change)
             select $1, item.item_id, item.version, $10, $5, $15, $12, $16, $17, $11, item.author, head.changes
             from item, head",
        )
        .bind(self.by.scope.tenant().as_str())
        .bind(old.id);
        self.bind(query, snapshot, action, refers, message)
            .bind(says_other)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Binds what is kept of a snapshot, as $3 to $17.
    fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
        snapshot: &'q Snapshot,
        action: Action,
        (kinds, targets): References,
        message: Option<&'q str>,
    ) -> Query<'q, Postgres, PgArguments> {
        let attributes = &snapshot.attributes;
        query
            .bind(attributes.kind.as_str())
            .bind(attributes.layer.as_str())
            .bind(attributes.status.as_str())
            .bind(attributes.severity.as_str())
            .bind(&attributes.title)
            .bind(&attributes.tags)
            .bind(attributes.supersedes.as_deref())
            .bind(action.as_str())
            .bind(self.by.rights.subject().to_owned())
            .bind(&snapshot.body)
            .bind(kinds)
            .bind(targets)
            .bind(Json(attributes))
            .bind(snapshot.hash().to_vec())
            .bind(message)
    }

    /// Keeps which item took the place of another.
    pub(super) async fn tell_successor(&mut self, old: &Stored, successor: Option<&ItemPath>) -> sqlx::Result<()> {
        sqlx::query("update knowledge.items set superseded_by = $3 where tenant_id = $1 and item_id = $2")
            .bind(self.by.scope.tenant().as_str())
            .bind(old.id)
            .bind(successor.map(ItemPath::as_str))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}

/// What an item refers to: kinds and targets.
type References = (Vec<&'static str>, Vec<String>);

fn columns(path: &ItemPath, snapshot: &Snapshot) -> References {
    let references = references(path, snapshot).into_iter();
    references.map(|one| (one.kind.as_str(), one.target)).unzip()
}
