//! Policies that are too old, unknown or not to be believed stop writes, and nothing else.

use anyhow::Result;
use serde_json::json;

use super::relay::Mode;
use super::world::World;
use crate::api::service::Service as Memory;
use crate::knowledge::service::{ADMIN, Service as Knowledge, wait_until};

async fn store(memory: &Memory) -> Result<u16> {
    let body = json!({"content": "the zebra", "layer": "team"});
    Ok(memory.create("acme", &body).await?.status)
}

#[tokio::test]
async fn policies_that_have_become_too_old_stop_writes_until_there_are_new_ones() -> Result<()> {
    let world = World::start(4).await?;
    let (memory, knowledge) = (world.memory().await?, world.knowledge().await?);
    let id = memory.store("acme", "the zebra").await?;
    knowledge.note(ADMIN, "a.md", "text").await?.expect(201)?;
    world.relay.set(Mode::Away);
    wait_until("writes stop", async || Ok(store(&memory).await? == 503)).await?;
    let body = json!({"content": "the zebra", "layer": "team"});
    memory
        .create("acme", &body)
        .await?
        .expect_problem(503, "POLICY_STALE")?;
    memory.delete("acme", id).await?.expect_problem(503, "POLICY_STALE")?;
    memory.get("acme", id).await?.expect(200)?;
    memory.search("acme", &json!({"query": "zebra"})).await?.expect(200)?;
    wait_until("writes stop", async || {
        Ok(knowledge.note(ADMIN, "b.md", "text").await?.status == 503)
    })
    .await?;
    knowledge
        .note(ADMIN, "c.md", "text")
        .await?
        .expect_problem(503, "POLICY_STALE")?;
    knowledge.get(ADMIN, "/knowledge/a.md").await?.expect(200)?;
    world.relay.set(Mode::Honest);
    wait_until("writes go on", async || Ok(store(&memory).await? == 201)).await?;
    wait_until("writes go on", async || {
        Ok(knowledge.note(ADMIN, "d.md", "text").await?.status == 201)
    })
    .await
}

#[tokio::test]
async fn what_old_policies_forbid_to_read_stays_forbidden() -> Result<()> {
    let world = World::start(3).await?;
    let text = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    world.governance.enforce("acme", "no-reading", text).await?;
    let memory = world.memory().await?;
    let id = memory.store("acme", "the zebra").await?;
    world.relay.set(Mode::Away);
    wait_until("writes stop", async || Ok(store(&memory).await? == 503)).await?;
    memory.get("acme", id).await?.expect_problem(403, "FORBIDDEN")
}

async fn expect_no_writes(memory: &Memory, knowledge: &Knowledge) -> Result<()> {
    let body = json!({"content": "the zebra", "layer": "team"});
    memory
        .create("acme", &body)
        .await?
        .expect_problem(503, "POLICY_STALE")?;
    knowledge
        .note(ADMIN, "a.md", "text")
        .await?
        .expect_problem(503, "POLICY_STALE")?;
    memory.search("acme", &json!({"query": "zebra"})).await?.expect(200)?;
    knowledge.get(ADMIN, "/knowledge/").await?.expect(200)
}

#[tokio::test]
async fn without_any_policies_nothing_is_written_and_reads_go_on() -> Result<()> {
    let world = World::start(300).await?;
    world.relay.set(Mode::Away);
    expect_no_writes(&world.memory().await?, &world.knowledge().await?).await
}

#[tokio::test]
async fn a_forged_snapshot_is_as_good_as_none() -> Result<()> {
    let world = World::start(300).await?;
    // An attacker would like to be asked less often.
    world
        .relay
        .set(Mode::Forges("\"maxAgeSeconds\":300", "\"maxAgeSeconds\":99999"));
    expect_no_writes(&world.memory().await?, &world.knowledge().await?).await
}

#[tokio::test]
async fn the_genuine_snapshot_of_another_tenant_is_as_good_as_none() -> Result<()> {
    let world = World::start(300).await?;
    world.relay.set(Mode::Swaps("globex"));
    expect_no_writes(&world.memory().await?, &world.knowledge().await?).await
}
