//! Stores that are away, seen by a caller and by a job.

use aeterna_testkit::Postgres;
use anyhow::Result;
use serde_json::json;

use super::jobs::to_knowledge;
use super::service::{Sync, directory, expect_job};
use crate::ground::Ground;

#[tokio::test]
async fn without_the_database_callers_are_told_to_come_back_and_the_job_goes_on_afterwards() -> Result<()> {
    let mut server = Postgres::start().await?;
    let sync = Sync::start_on(Ground::on(&server).await?, &["--auth-mode", "disabled"]).await?;
    for n in 0..70 {
        sync.write("acme", &format!("{n}.md"), format!("page {n}"))?;
    }
    sync.knowledge.close();
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    sync.knowledge.is_asked().await?;
    server.stop()?;
    let status = format!("/api/v1/sync/status/{id}");
    sync.get("acme", &status).await?.expect_problem(503, "UNAVAILABLE")?;
    sync.start_job("acme", &directory("x"))
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    let cancel = format!("/api/v1/sync/cancel/{id}");
    sync.post("acme", &cancel, &json!({}))
        .await?
        .expect_problem(503, "UNAVAILABLE")?;
    for list in ["jobs", "rejects"] {
        let path = format!("/api/v1/sync/{list}");
        sync.get("acme", &path).await?.expect_problem(503, "UNAVAILABLE")?;
    }
    sync.knowledge.open();
    server.start_again().await?;
    sync.let_time_pass().await?;
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "succeeded", &json!({"added": 70}))
}
