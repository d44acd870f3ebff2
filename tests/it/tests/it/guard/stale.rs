//! Policies that are too old, unknown or not to be believed stop writes, and nothing else.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::relay::Mode;
use super::world::World;
use crate::api::service::{Service as Memory, send};
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

/// A read waited for an answer as long as a write, and the next one behind it.
#[tokio::test]
async fn reads_do_not_wait_for_a_governance_service_that_hangs() -> Result<()> {
    let world = World::start(2).await?;
    let memory = world.memory().await?;
    let id = memory.store("acme", "the zebra").await?;
    world.relay.set(Mode::Silent);
    wait_until("writes stop", async || Ok(store(&memory).await? == 503)).await?;
    let started = tokio::time::Instant::now();
    for _ in 0..40 {
        memory.get("acme", id).await?.expect(200)?;
    }
    // Each third second one of them waits a quarter of a second. If each waited for the answer, it would be 80 seconds.
    let took = started.elapsed();
    ensure!(took.as_secs() < 20, "40 reads took {took:?}");
    Ok(())
}

/// What a policy forbids to everybody, and the built-in ones allow nobody without a role, was read where nothing was known yet.
#[tokio::test]
async fn who_has_no_role_asks_seldom_also_where_nothing_is_known_yet() -> Result<()> {
    let world = World::start(300).await?;
    let memory = world.memory_that_asks_after(3_600).await?;
    for _ in 0..20 {
        let request = memory.request(Method::GET, &format!("/api/v1/memories/{}", uuid::Uuid::nil()));
        let request = request.header("X-Tenant-ID", "acme").header("X-Subject", "eve");
        send(request.header("X-Roles", "Nobody"))
            .await?
            .expect_problem(503, "POLICY_STALE")?;
    }
    ensure!(world.relay.count() == 1, "asked {} times", world.relay.count());
    memory
        .create("acme", &json!({"content": "x", "layer": "team"}))
        .await?
        .expect(201)
}

/// One who is let in by nothing asked first, and kept everybody whose roles are given here from asking.
#[tokio::test]
async fn who_was_given_a_role_asks_whoever_was_refused_before() -> Result<()> {
    let world = World::start(300).await?;
    let memory = world.memory_that_asks_after(3_600).await?;
    world.change_role("grant", "ann", "Developer").await?;
    let read = async |subject: &str| {
        let request = memory.request(Method::GET, &format!("/api/v1/memories/{}", uuid::Uuid::nil()));
        let request = request.header("X-Tenant-ID", "acme").header("X-Subject", subject);
        send(request.header("X-Roles", "Nobody")).await
    };
    read("eve").await?.expect_problem(503, "POLICY_STALE")?;
    read("ann").await?.expect_problem(404, "MEMORY_NOT_FOUND")?;
    read("eve").await?.expect_problem(403, "FORBIDDEN")
}

#[tokio::test]
async fn policies_that_have_not_changed_are_not_sent_again_and_go_on_to_count() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    world.governance.enforce("acme", "no-reading", text).await?;
    let memory = world.memory().await?;
    let id = memory.store("acme", "the zebra").await?;
    wait_until("it is asked again", async || {
        memory.get("acme", id).await?.expect_problem(403, "FORBIDDEN")?;
        Ok(world.relay.count() >= 3)
    })
    .await?;
    ensure!(world.relay.query().is_some_and(|query| query.starts_with("known=")));
    Ok(())
}
