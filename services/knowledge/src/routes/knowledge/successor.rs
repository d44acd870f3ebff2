//! What took an item's place, as far as the caller may know of it.

use sqlx::PgPool;

use aeterna_kit::problem::Problem;
use aeterna_policy::rbac::action;

use crate::by::By;
use crate::item::Stored;
use crate::path::ItemPath;
use crate::permissions::about_stored;
use crate::store;

/// Leaves out the path of what took an item's place, where the caller may not see that.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn hide(pool: &PgPool, by: &By, mut stored: Stored) -> Result<Stored, Problem> {
    let successor = stored.superseded_by.as_deref().map(ItemPath::parse);
    let Some(Ok(successor)) = successor else {
        return Ok(stored);
    };
    let found = store::fetch(pool, &by.scope, &successor).await;
    let found = found.map_err(|error| Problem::database(&error))?;
    let may_see = found.is_some_and(|one| {
        let attributes = &one.snapshot.attributes;
        let about = about_stored(action::KNOWLEDGE_READ, &one.path, attributes);
        by.rights.may_read(&one.author, attributes.status) && by.judge.allows(about)
    });
    stored.superseded_by.take_if(|_| !may_see);
    Ok(stored)
}
