//! The database away, seen by a caller.

use aeterna_testkit::Postgres;
use anyhow::Result;
use serde_json::json;

use super::bodies::{constraint, question};
use super::service::{Service, of_acme};
use crate::ground::PATIENCE;

#[tokio::test]
async fn without_the_database_nothing_is_allowed_and_then_it_is_served_again() -> Result<()> {
    let mut server = Postgres::start().await?;
    let service = Service::start_on(&server, true).await?;
    let ann = of_acme("ann", "Architect");
    service
        .post(ann, "/api/v1/policies", &constraint("before"))
        .await?
        .expect(201)?;
    server.stop()?;
    let asked = question(&["Viewer"], "memory.read");
    service
        .post(ann, "/api/v1/policies/evaluate", &asked)
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    service
        .post(ann, "/api/v1/policies", &constraint("during"))
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    service
        .get(ann, "/api/v1/audit")
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    let granted = json!({"principal": "bob", "role": "Viewer"});
    service
        .post(of_acme("root", "Admin"), "/api/v1/roles/grant", &granted)
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    service.get(ann, "/health").await?.expect(200)?;
    server.start_again().await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while service.get(ann, "/api/v1/policies").await?.status != 200 {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "it never serves again");
    }
    service
        .post(ann, "/api/v1/policies", &constraint("after"))
        .await?
        .expect(201)
}
