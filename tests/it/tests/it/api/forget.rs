//! `GET` and `DELETE /api/v1/memories/{id}`.

use anyhow::{Result, ensure};
use reqwest::Method;
use uuid::Uuid;

use super::service::{Service, send};

#[tokio::test]
async fn a_foreign_tenants_memory_is_as_if_it_were_not_there() -> Result<()> {
    let service = Service::start().await?;
    let id = service.store("acme", "a secret of acme").await?;
    service.store("globex", "something else").await?;
    let foreign = service.get("globex", id).await?;
    foreign.expect_problem(404, "MEMORY_NOT_FOUND")?;
    let nothing = service.get("globex", Uuid::now_v7()).await?;
    nothing.expect_problem(404, "MEMORY_NOT_FOUND")?;
    ensure!(!foreign.text.contains("acme"), "{}", foreign.text);
    service
        .delete("globex", id)
        .await?
        .expect_problem(404, "MEMORY_NOT_FOUND")?;
    service.get("acme", id).await?.expect(200)
}

#[tokio::test]
async fn a_deleted_memory_is_gone_with_its_text() -> Result<()> {
    let service = Service::start().await?;
    let id = service.store("acme", "forget me").await?;
    let point: Uuid = sqlx::query_scalar("select point_id from memory.memories where id = $1")
        .bind(id)
        .fetch_one(&service.ground.root)
        .await?;
    let gone = service.delete("acme", id).await?;
    gone.expect(204)?;
    ensure!(gone.text.is_empty());
    service.get("acme", id).await?.expect_problem(410, "MEMORY_DELETED")?;
    service
        .delete("acme", id)
        .await?
        .expect_problem(404, "MEMORY_NOT_FOUND")?;
    let left: i64 = sqlx::query_scalar("select count(*) from memory.memories where content <> '' or embedding <> ''")
        .fetch_one(&service.ground.root)
        .await?;
    ensure!(left == 0, "the row still holds the text");
    let tenant = service.ground.tenant("acme").await?;
    ensure!(
        !service.ground.search(&tenant, "forget me").await?.contains(&point),
        "the point is still found"
    );
    service.ground.assert_exact(&tenant).await
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() -> Result<()> {
    let service = Service::start().await?;
    for path in ["/api/v1/memories/7", "/api/v1/memories/%FF", "/api/v1/memories/..%2Fx"] {
        for method in [Method::GET, Method::DELETE] {
            send(service.request(method, path))
                .await?
                .expect_problem(400, "INVALID_PARAMETER")?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn deleting_registers_no_tenant() -> Result<()> {
    let service = Service::start().await?;
    service
        .delete("stranger", Uuid::now_v7())
        .await?
        .expect_problem(404, "MEMORY_NOT_FOUND")?;
    service
        .get("stranger", Uuid::now_v7())
        .await?
        .expect_problem(404, "MEMORY_NOT_FOUND")?;
    let tenants: i64 = sqlx::query_scalar("select count(*) from routing.tenants")
        .fetch_one(&service.ground.root)
        .await?;
    ensure!(tenants == 0, "{tenants} tenants were registered");
    Ok(())
}
