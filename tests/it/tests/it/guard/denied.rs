//! What the policies forbid is refused at the door of each service.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;
use crate::api::service::{Answer, Service as Memory, send};
use crate::knowledge::service::{ADMIN, As, wait_until};
use crate::sync::service::directory;

async fn create(memory: &Memory, role: &str, body: &Value) -> Result<Answer> {
    let request = memory.request(Method::POST, "/api/v1/memories");
    let request = request
        .header("X-Tenant-ID", "acme")
        .header("X-Subject", "ann")
        .header("X-Roles", role);
    send(request.json(body)).await
}

#[tokio::test]
async fn memories_of_a_forbidden_layer_are_refused_and_others_are_stored() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"memory.create", resource)
        when { resource has layer && resource.layer == "company" };"#;
    let policy = world.governance.enforce("acme", "no-company-memories", text).await?;
    let memory = world.memory().await?;
    let of = |layer: &str| json!({"content": "the zebra", "layer": layer});
    let denied = create(&memory, "TenantAdmin", &of("company")).await?;
    denied.expect_problem(403, "FORBIDDEN")?;
    let detail = denied.body["detail"].as_str().unwrap_or_default();
    let named = format!("policy \"no-company-memories\" ({policy}@1)");
    ensure!(detail.contains(&named) && detail.contains("decision "), "{detail}");
    ensure!(memory.count_rows().await? == 0, "a refused memory was stored");
    create(&memory, "TenantAdmin", &of("team")).await?.expect(201)?;
    // The roles' own rights hold here as well, and another tenant has other policies.
    create(&memory, "Viewer", &of("team"))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    memory.create("globex", &of("company")).await?.expect(201)?;
    // The governance service was asked with the credentials of a caller, and for his tenant.
    ensure!(world.relay.last("x-tenant-id").as_deref() == Some("globex"));
    Ok(())
}

#[tokio::test]
async fn a_policy_counts_in_a_service_that_runs_within_seconds() -> Result<()> {
    let world = World::start(300).await?;
    let memory = world.memory().await?;
    let id = memory.store("acme", "the zebra").await?;
    memory.get("acme", id).await?.expect(200)?;
    let text = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    world.governance.enforce("acme", "no-reading", text).await?;
    wait_until("the policy counts", async || {
        Ok(memory.get("acme", id).await?.status == 403)
    })
    .await?;
    memory.get("acme", id).await?.expect_problem(403, "FORBIDDEN")
}

/// The first request was decided by what was known before, however long ago, and only the next one by what it had fetched.
#[tokio::test]
async fn after_a_time_without_requests_the_first_write_meets_what_has_changed() -> Result<()> {
    let world = World::start(300).await?;
    let memory = world.memory().await?;
    memory.store("acme", "the zebra").await?;
    let text = r#"forbid (principal, action == Action::"memory.create", resource);"#;
    world.governance.enforce("acme", "no-writing", text).await?;
    // Twice the time after which policies are asked for again.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let body = json!({"content": "another zebra", "layer": "team"});
    memory.create("acme", &body).await?.expect_problem(403, "FORBIDDEN")
}

#[tokio::test]
async fn knowledge_at_a_forbidden_path_and_in_a_forbidden_status_is_refused() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action, resource is Knowledge)
        when { resource has path && resource.path like "secret/*" };"#;
    world.governance.enforce("acme", "no-secrets", text).await?;
    let knowledge = world.knowledge().await?;
    for (path, status) in [("secret/plan.md", 403), ("open/plan.md", 201)] {
        knowledge.note(ADMIN, path, "the zebra plan").await?.expect(status)?;
        let read = knowledge.get(ADMIN, &format!("/knowledge/{path}")).await?;
        ensure!((read.status == 200) == (status == 201), "{path}: {}", read.text);
    }
    let markdown = knowledge
        .request(ADMIN, Method::PUT, "/knowledge/secret/file.md")
        .header("Content-Type", "text/markdown")
        .body("---\nkind: note\nlayer: team\n---\nthe zebra plan\n");
    send(markdown).await?.expect_problem(403, "FORBIDDEN")?;
    // It takes an Architect to accept, whether a field says it or the front matter.
    let lead = As("acme", "tom", "TechLead");
    let accepted = "---\nkind: note\nlayer: team\nstatus: accepted\n---\ntext\n";
    let body = json!({"path": "open/accepted.md", "content": accepted});
    knowledge
        .post(lead, "/knowledge", &body)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    knowledge
        .post(As("acme", "art", "Architect"), "/knowledge", &body)
        .await?
        .expect(201)
}

#[tokio::test]
async fn a_sync_from_a_forbidden_source_is_refused() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"sync.start", resource)
        when { resource has source && resource.source == "directory" };"#;
    world.governance.enforce("acme", "no-directories", text).await?;
    let sync = world.sync().await?;
    sync.start_job("acme", &directory(""))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    sync.get("acme", "/api/v1/sync/jobs").await?.expect(200)?;
    sync.start_job("globex", &directory("")).await?.expect(202)
}

#[tokio::test]
async fn what_runs_over_a_connection_of_a_forbidden_source_is_refused_whatever_the_request_names() -> Result<()> {
    let world = World::start(300).await?;
    let sync = world.sync().await?;
    sync.write("acme", "bad.md", b"\xff")?;
    sync.write_secret("acme", "hook.hmac", "a secret")?;
    let job = sync.run_job("acme", &directory("")).await?;
    let (id, connection) = (job.id()?, job.body["connectionId"].clone());
    let rejects = sync.get("acme", "/api/v1/sync/rejects").await?;
    let reject = rejects.body["items"][0]["id"].as_str().unwrap_or_default().to_owned();
    let text = r#"forbid (principal, action, resource is Sync)
        when { resource has source && resource.source == "directory" && resource has owner };"#;
    world.governance.enforce("acme", "no-directories", text).await?;
    let start = json!({"connectionId": connection});
    wait_until("the policy counts", async || {
        Ok(sync.start_job("acme", &start).await?.status == 403)
    })
    .await?;
    let connection = connection.as_str().unwrap_or_default();
    for (method, path, body) in [
        (Method::POST, "start".to_owned(), start.clone()),
        (Method::POST, "start".to_owned(), directory("")),
        (Method::POST, format!("retry/{reject}"), json!({})),
        (Method::POST, format!("cancel/{id}"), json!({})),
        (
            Method::PUT,
            format!("schedules/{connection}"),
            json!({"cron": "@daily"}),
        ),
        (
            Method::PUT,
            format!("webhooks/{connection}"),
            json!({"secretRef": "hook"}),
        ),
        (Method::DELETE, format!("schedules/{connection}"), json!({})),
        (Method::DELETE, format!("webhooks/{connection}"), json!({})),
        (Method::DELETE, format!("connections/{connection}"), json!({})),
    ] {
        let request = sync.request(method, &format!("/api/v1/sync/{path}"));
        let answer = send(request.header("X-Tenant-ID", "acme").json(&body)).await?;
        answer
            .expect_problem(403, "FORBIDDEN")
            .map_err(|error| error.context(path))?;
    }
    sync.get("acme", "/api/v1/sync/connections").await?.expect(200)
}

#[tokio::test]
async fn a_role_that_was_given_counts_although_nobody_else_asks() -> Result<()> {
    let world = World::start(300).await?;
    let memory = world.memory().await?;
    let stored = json!({"content": "the zebra", "layer": "team"});
    create(&memory, "TechLead", &stored).await?.expect(201)?;
    create(&memory, "", &stored).await?.expect_problem(403, "FORBIDDEN")?;
    world.change_role("grant", "ann", "Developer").await?;
    wait_until("the role counts", async || {
        Ok(create(&memory, "", &stored).await?.status == 201)
    })
    .await
}

#[tokio::test]
async fn a_role_that_was_taken_away_does_not_count_whatever_the_token_says() -> Result<()> {
    let world = World::start(300).await?;
    world.change_role("revoke", "ann", "Developer").await?;
    let memory = world.memory().await?;
    let stored = json!({"content": "the zebra", "layer": "team"});
    create(&memory, "Viewer,Developer", &stored)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    create(&memory, "TechLead", &stored).await?.expect(201)
}

/// The door asks about an id; what the row says, the handler asks about.
#[tokio::test]
async fn memories_that_may_not_be_read_are_neither_shown_nor_found_nor_deleted() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action in [Action::"memory.read", Action::"memory.delete"], resource)
        when { resource has layer && resource.layer == "company" };"#;
    world.governance.enforce("acme", "no-company-memories", text).await?;
    let memory = world.memory().await?;
    let mut ids = Vec::new();
    for layer in ["company", "team"] {
        let body = json!({"content": format!("the zebra of the {layer}"), "layer": layer});
        let made = memory.create("acme", &body).await?;
        made.expect(201)?;
        ids.push(made.body["id"].as_str().unwrap_or_default().parse::<uuid::Uuid>()?);
    }
    memory.get("acme", ids[0]).await?.expect_problem(403, "FORBIDDEN")?;
    memory.get("acme", ids[1]).await?.expect(200)?;
    for mode in ["keyword", "semantic", "hybrid"] {
        let found = memory.search("acme", &json!({"query": "zebra", "mode": mode})).await?;
        found.expect(200)?;
        ensure!(
            found.text.contains("of the team") && !found.text.contains("of the company"),
            "{mode}: {}",
            found.text
        );
    }
    memory.delete("acme", ids[0]).await?.expect_problem(403, "FORBIDDEN")?;
    ensure!(memory.count_rows().await? == 2, "a memory was deleted");
    memory.delete("acme", ids[1]).await?.expect(204)
}

#[tokio::test]
async fn what_may_not_be_found_does_not_hide_the_rest() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"memory.read", resource)
        when { resource has layer && resource.layer == "company" };"#;
    world.governance.enforce("acme", "no-company-memories", text).await?;
    let memory = world.memory().await?;
    for n in 0..12 {
        let body = json!({"content": format!("zebra zebra zebra {n}"), "layer": "company"});
        memory.create("acme", &body).await?.expect(201)?;
    }
    let body = json!({"content": "far down, a zebra among many other animals", "layer": "team"});
    memory.create("acme", &body).await?.expect(201)?;
    for mode in ["keyword", "semantic", "hybrid"] {
        let asked = json!({"query": "zebra", "mode": mode, "limit": 3});
        let found = memory.search("acme", &asked).await?;
        found.expect(200)?;
        ensure!(found.text.contains("far down"), "{mode}: {}", found.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_search_gives_nothing_to_who_may_read_nothing() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    world.governance.enforce("acme", "no-reading", text).await?;
    let memory = world.memory().await?;
    memory.store("acme", "the zebra").await?;
    let found = memory
        .search("acme", &json!({"query": "zebra", "mode": "keyword"}))
        .await?;
    found.expect(200)?;
    ensure!(found.body["items"] == json!([]), "{}", found.text);
    Ok(())
}
