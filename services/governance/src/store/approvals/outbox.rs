//! What has been approved and is still to be applied. A row comes when a request is approved and goes when it is applied, so
//! that happens once; its id is that of the application, by which whoever carries it out elsewhere tells a second try.

use uuid::Uuid;

use crate::store::Scoped;

/// Puts an approved request into the outbox.
///
/// # Errors
/// Those of the database.
pub(super) async fn put(tx: &mut Scoped, id: Uuid) -> sqlx::Result<()> {
    let tenant = tx.tenant().to_owned();
    sqlx::query("insert into governance.approval_outbox (tenant_id, approval_id, application_id) values ($1, $2, $3)")
        .bind(tenant)
        .bind(id)
        .bind(Uuid::now_v7())
        .execute(tx.connection())
        .await
        .map(|_| ())
}

/// Takes an approved request out of the outbox, and remembers who did. Returns the id of the application; none when it was
/// taken before.
///
/// # Errors
/// Those of the database.
pub async fn take(tx: &mut Scoped, id: Uuid, by: &str) -> sqlx::Result<Option<Uuid>> {
    let tenant = tx.tenant().to_owned();
    sqlx::query_scalar(
        "with taken as (delete from governance.approval_outbox where tenant_id = $1 and approval_id = $2
            returning application_id)
         update governance.approvals a set application_id = taken.application_id, applied_by = $3 from taken
         where a.tenant_id = $1 and a.id = $2 returning taken.application_id",
    )
    .bind(tenant)
    .bind(id)
    .bind(by)
    .fetch_optional(tx.connection())
    .await
}
