//! What a tenant's graph is built from, and what is known without it.

use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, tenant_tx};

use super::{Error, reader};
use crate::access::Rights;

/// What has changed since a number of the tenant's head.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The number that this leads to.
    pub head: i64,
    /// Items.
    pub nodes: Vec<Node>,
    /// All that these refer to.
    pub links: Vec<Link>,
    /// Pairs that were told together.
    pub uses: Vec<Use>,
}

/// An item.
#[derive(Debug, Clone, FromRow)]
pub struct Node {
    /// Its row.
    pub id: Uuid,
    /// Its path.
    pub path: String,
    /// Its path without case.
    pub folded: String,
    /// Its status.
    pub status: String,
    /// Its author.
    pub author: String,
    /// The path of the item that it takes the place of.
    pub supersedes: Option<String>,
    /// It is gone.
    pub deleted: bool,
}

/// A reference of an item.
#[derive(Debug, Clone, FromRow)]
pub struct Link {
    /// The item.
    pub item: Uuid,
    /// `link` or `citation`.
    pub kind: String,
    /// To what.
    pub target: String,
}

/// Two items that were told together, the smaller id first.
#[derive(Debug, Clone, FromRow)]
pub struct Use {
    /// One.
    pub one: Uuid,
    /// The other.
    pub other: Uuid,
    /// In how many contexts.
    pub times: i64,
}

/// Reads what has changed behind a number; -1 reads everything.
///
/// # Errors
/// When the database does not answer.
pub async fn changes(pool: &PgPool, scope: &TenantScope, since: i64) -> Result<Changes, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let changes = db::timed("knowledge_changes", changes_in(&mut tx, scope.tenant().as_str(), since)).await?;
    tx.commit().await?;
    Ok(changes)
}

/// The number is read first: what is committed in between is read now, and once more the next time.
async fn changes_in(tx: &mut PgConnection, tenant: &str, since: i64) -> sqlx::Result<Changes> {
    let head: Option<i64> = sqlx::query_scalar("select changes from knowledge.heads where tenant_id = $1")
        .bind(tenant)
        .fetch_optional(&mut *tx)
        .await?;
    let head = head.unwrap_or_default();
    if head == since {
        return Ok(Changes {
            head,
            ..Changes::default()
        });
    }
    let nodes = sqlx::query_as(
        "select i.item_id as id, i.path, i.folded, i.status, i.author, i.supersedes, i.deleted_at is not null as deleted
         from (select distinct item_id from knowledge.versions where tenant_id = $1 and change > $2) c
         join knowledge.items i on i.tenant_id = $1 and i.item_id = c.item_id",
    );
    let links = sqlx::query_as(
        "select l.item_id as item, l.kind, l.target
         from (select distinct item_id from knowledge.versions where tenant_id = $1 and change > $2) c
         join knowledge.links l on l.tenant_id = $1 and l.item_id = c.item_id",
    );
    let uses = sqlx::query_as("select one, other, times from knowledge.co_uses where tenant_id = $1 and change > $2");
    Ok(Changes {
        head,
        nodes: nodes.bind(tenant).bind(since).fetch_all(&mut *tx).await?,
        links: links.bind(tenant).bind(since).fetch_all(&mut *tx).await?,
        uses: uses.bind(tenant).bind(since).fetch_all(&mut *tx).await?,
    })
}

/// Counts that items were told together.
///
/// # Errors
/// When the database does not answer.
pub async fn record_use(pool: &PgPool, scope: &TenantScope, items: &[Uuid]) -> Result<(), Error> {
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let pairs = sorted
        .iter()
        .enumerate()
        .flat_map(|(at, one)| sorted.iter().skip(at + 1).map(move |other| (*one, *other)));
    let (ones, others): (Vec<Uuid>, Vec<Uuid>) = pairs.unzip();
    if ones.is_empty() {
        return Ok(());
    }
    let mut tx = tenant_tx(pool, scope).await?;
    // The head is locked first, as every writer does it; so numbers are committed in their order.
    let query = sqlx::query(
        "with head as (update knowledge.heads set changes = changes + 1 where tenant_id = $1 returning changes)
         insert into knowledge.co_uses (tenant_id, one, other, change)
         select $1, p.one, p.other, head.changes from head, unnest($2::uuid[], $3::uuid[]) p (one, other)
         on conflict (tenant_id, one, other) do update set times = co_uses.times + 1, change = excluded.change",
    )
    .bind(scope.tenant().as_str())
    .bind(ones)
    .bind(others);
    db::timed("knowledge_record_use", query.execute(&mut *tx)).await?;
    tx.commit().await?;
    Ok(())
}

/// A live item, without its text.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Named {
    /// Its row.
    pub id: Uuid,
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its layer.
    pub layer: String,
    /// Its status.
    pub status: String,
}

/// Reads live items that the reader may see, in no order.
///
/// # Errors
/// When the database does not answer.
pub async fn names(pool: &PgPool, scope: &TenantScope, rights: &Rights, ids: &[Uuid]) -> Result<Vec<Named>, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query = sqlx::query_as(
        "select item_id as id, path, title, kind, layer, status from knowledge.items
         where tenant_id = $1 and item_id = any($2) and deleted_at is null
           and (status <> 'draft' or $3::text is null or author = $3)",
    )
    .bind(scope.tenant().as_str())
    .bind(ids)
    .bind(reader(rights));
    let found = db::timed("knowledge_names", query.fetch_all(&mut *tx)).await?;
    tx.commit().await?;
    Ok(found)
}

/// A neighbour of an item: its row, and how they are related, as the graph would say it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Neighbour {
    /// Its row.
    pub id: Uuid,
    /// `link`, `citation`, `supersedes`, `coUse`.
    pub relation: String,
    /// `out`, `in`, `both`.
    pub direction: String,
}

/// Reads the direct neighbours of an item that the reader may see, each once, without the graph: links by name are not followed.
///
/// # Errors
/// When the database does not answer.
pub async fn neighbours(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    item: Uuid,
    limit: i64,
) -> Result<Vec<Neighbour>, Error> {
    let mut tx = tenant_tx(pool, scope).await?;
    let query = sqlx::query_as(
        "with me as (select * from knowledge.items where tenant_id = $1 and item_id = $2),
         -- Row-level security lets an index be asked for plain values only, so these are made first.
         targets as materialized (
             select l.kind, unnest(array[l.target, l.target || '.md']) as folded
             from knowledge.links l where l.tenant_id = $1 and l.item_id = $2
         ),
         names as materialized (
             select unnest(array[me.folded, case when me.folded like '%.md' then left(me.folded, -3) end]) as target from me
         ),
         found as (
             select i.item_id as id, t.kind as relation, 'out' as direction from targets t
             join knowledge.items i on i.tenant_id = $1 and i.deleted_at is null and i.folded = t.folded
             union
             select l.item_id, l.kind, 'in' from names
             join knowledge.links l on l.tenant_id = $1 and l.target = names.target
             union
             select i.item_id, 'supersedes', 'out' from me
             join knowledge.items i on i.tenant_id = $1 and i.path = me.supersedes
             union
             select i.item_id, 'supersedes', 'in' from me
             join knowledge.items i on i.tenant_id = $1 and i.supersedes = me.path
             union
             select case when u.one = $2 then u.other else u.one end, 'coUse', 'both'
             from knowledge.co_uses u where u.tenant_id = $1 and $2 in (u.one, u.other) and u.times > 1
         )
         select distinct on (i.path) f.id, f.relation, f.direction from found f
         join knowledge.items i on i.tenant_id = $1 and i.item_id = f.id
         where f.id <> $2 and i.deleted_at is null and (i.status <> 'draft' or $4::text is null or i.author = $4)
         order by i.path, f.relation, f.direction limit $3",
    )
    .bind(scope.tenant().as_str())
    .bind(item)
    .bind(limit)
    .bind(reader(rights));
    let found = db::timed("knowledge_neighbours", query.fetch_all(&mut *tx)).await?;
    tx.commit().await?;
    Ok(found)
}
