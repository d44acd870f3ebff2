//! Many items in one transaction: all of them, or none.

use sqlx::PgPool;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{self, tenant_tx};

use super::write::{Error, Outcome, Wanted, Writer};
use crate::access::Rights;
use crate::archive::order::{first_status, sort};
use crate::archive::{FAULTS, Fault, Member};
use crate::item::change::Precondition;
use crate::item::draft::Draft;
use crate::item::{Status, Stored};

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
pub async fn import(
    pool: &PgPool,
    scope: &TenantScope,
    rights: &Rights,
    members: Vec<Member>,
    existing: Existing,
) -> Result<Vec<Imported>, Failed> {
    let mut tx = tenant_tx(pool, scope).await.map_err(Error::from)?;
    let mut writer = Writer::new(&mut tx, scope, rights);
    let imported = db::timed("knowledge_import", import_in(&mut writer, members, existing)).await?;
    tx.commit().await.map_err(Error::from)?;
    Ok(imported)
}

async fn import_in(writer: &mut Writer<'_>, members: Vec<Member>, existing: Existing) -> Result<Vec<Imported>, Failed> {
    writer.lock().await.map_err(Error::from)?;
    let (mut imported, mut faults, mut to_be_superseded) = (Vec::with_capacity(members.len()), Vec::new(), Vec::new());
    for member in sort(members) {
        let path = member.path.to_string();
        match put(writer, member, existing).await {
            Ok((one, wanted)) => {
                if wanted == Status::Superseded {
                    to_be_superseded.push(path);
                }
                imported.push(one);
            }
            Err(error @ (Error::Database(_) | Error::Begin(_))) => return Err(error.into()),
            Err(error) => faults.push(fault(path, &error)),
        }
        if faults.len() == FAULTS {
            break;
        }
    }
    for path in to_be_superseded {
        let now = writer.fetch(&path).await.map_err(Error::from)?;
        match now.map(|now| (now.snapshot.attributes.status, now.version)) {
            Some((Status::Superseded, version)) => {
                let found = imported.iter_mut().filter(|one| one.path == path);
                found.for_each(|one| one.version = version);
            }
            _ => faults.push(fault(
                path,
                &"it is superseded, and nothing in the archive takes its place",
            )),
        }
    }
    imported.sort_by(|a, b| a.path.cmp(&b.path));
    if faults.is_empty() {
        Ok(imported)
    } else {
        Err(Failed::Members(faults))
    }
}

fn fault(name: String, message: &impl ToString) -> Fault {
    let message = message.to_string();
    Fault { name, message }
}

/// Writes one member, and returns the status that it shall have in the end.
async fn put(writer: &mut Writer<'_>, member: Member, existing: Existing) -> Result<(Imported, Status), Error> {
    let Member { path, text } = member;
    let old = writer.fetch(path.as_str()).await?;
    // Somebody else's draft is in the way, and has no say in anything.
    let old = old.filter(|old| !old.deleted && writer.may_read(old));
    let old_status = old.as_ref().map(|old| old.snapshot.attributes.status);
    let wanted = Draft::new(text.clone()).resolve(&path, old_status)?;
    let status = wanted.attributes.status;
    if let Some(old) = &old
        && existing == Existing::Keep
    {
        return Ok((report(old, Outcome::Unchanged), old.snapshot.attributes.status));
    }
    let first = first_status(status, old_status);
    let mut write = async |status, demanded| {
        let draft = Draft {
            status: Some(status),
            ..Draft::new(text.clone())
        };
        let (path, message) = (path.clone(), None);
        writer
            .put(Wanted {
                path,
                draft,
                demanded,
                message,
            })
            .await
    };
    let demanded = match (existing, &old) {
        (Existing::Replace, Some(_)) => Precondition::Present,
        (Existing::Refuse | Existing::Keep | Existing::Replace, _) => Precondition::Absent,
    };
    let mut written = write(first, demanded).await?;
    if old.is_none() && first != status && status != Status::Superseded {
        let outcome = written.outcome;
        written = write(status, Precondition::Present).await?;
        written.outcome = outcome;
    }
    Ok((report(&written.stored, written.outcome), status))
}

fn report(stored: &Stored, outcome: Outcome) -> Imported {
    Imported {
        path: stored.path.clone(),
        outcome,
        version: stored.version,
    }
}
