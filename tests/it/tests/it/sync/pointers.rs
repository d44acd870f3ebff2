//! Knowledge into memories that point to it: both services are the real ones.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{Sync, directory, expect_job};
use crate::api::service::send;
use crate::ground::Ground;
use crate::knowledge::service::{ADMIN, As, Service as Knowledge};

fn pointers(settings: &Value) -> Value {
    json!({
        "source": {"type": "knowledge_to_memory", "config": settings},
        "target": {"type": "memory", "layer": "team", "identifiers": {"teamId": "blue"}},
    })
}

async fn start() -> Result<(Knowledge, Sync)> {
    let knowledge = Knowledge::start().await?;
    let sync = Sync::on_knowledge(Ground::new().await?, &knowledge.url, &["--auth-mode", "disabled"]).await?;
    Ok((knowledge, sync))
}

fn note(content: &str) -> Value {
    json!({"content": content, "kind": "note", "layer": "team"})
}

async fn accept(knowledge: &Knowledge, path: &str, content: &str) -> Result<()> {
    let body = json!({"path": path, "content": content, "kind": "note", "layer": "team", "status": "accepted"});
    knowledge.post(ADMIN, "/knowledge", &body).await?.expect(201)
}

#[tokio::test]
async fn accepted_items_have_memories_that_point_to_them() -> Result<()> {
    let (knowledge, sync) = start().await?;
    accept(
        &knowledge,
        "guide/deploy.md",
        "# Deploying\n\nShip on Tuesdays.\n\nNever on Fridays.",
    )
    .await?;
    accept(&knowledge, "guide/deep/er.md", "# Deeper\n\nStill here.").await?;
    accept(&knowledge, "elsewhere.md", "# Elsewhere\n\nNot in the guide.").await?;
    knowledge
        .note(ADMIN, "guide/draft.md", "# A draft\n\nNot yet.")
        .await?
        .expect(201)?;
    let body = pointers(&json!({"pathPrefix": "guide"}));
    let first = sync.run_job("acme", &body).await?;
    expect_job(&first, "succeeded", &json!({"processed": 2, "added": 2, "estimate": 2}))?;
    let deploying = "Deploying\n\nShip on Tuesdays.\n\n[NOTE] guide/deploy.md";
    ensure!(
        sync.memories("acme").await? == ["Deeper\n\nStill here.\n\n[NOTE] guide/deep/er.md", deploying],
        "{:?}",
        sync.memories("acme").await?
    );
    let metadata: Value = sqlx::query_scalar("select metadata from memory.memories where content = $1")
        .bind(deploying)
        .fetch_one(&sync.memory.ground.root)
        .await?;
    let source = &metadata["source"];
    ensure!(
        source["type"] == "knowledge" && source["reference"] == "guide/deploy.md",
        "{metadata}"
    );

    // A version that changes nothing of what a pointer says is a look and no more.
    knowledge
        .put(
            ADMIN,
            "guide/deploy.md",
            &note("# Deploying\n\nShip on Tuesdays.\n\nNor on Mondays."),
        )
        .await?
        .expect(200)?;
    let same = sync.run_job("acme", &body).await?;
    expect_job(&same, "succeeded", &json!({"unchanged": 2, "updated": 0}))?;
    knowledge
        .put(ADMIN, "guide/deploy.md", &note("# Deploying\n\nShip on Wednesdays."))
        .await?
        .expect(200)?;
    let changed = sync.run_job("acme", &body).await?;
    expect_job(&changed, "succeeded", &json!({"unchanged": 1, "updated": 1}))?;

    let delete = knowledge.request(ADMIN, Method::DELETE, "/knowledge/guide/deep/er.md");
    send(delete.header("If-Match", "*")).await?.expect(204)?;
    let mut allowed = body.clone();
    allowed["allowMassDelete"] = json!(true);
    let gone = sync.run_job("acme", &allowed).await?;
    expect_job(&gone, "succeeded", &json!({"deleted": 1, "unchanged": 1}))?;
    ensure!(sync.memories("acme").await? == ["Deploying\n\nShip on Wednesdays.\n\n[NOTE] guide/deploy.md"]);
    Ok(())
}

#[tokio::test]
async fn pointers_are_of_the_tenants_own_knowledge_and_go_to_memories_alone() -> Result<()> {
    let (knowledge, sync) = start().await?;
    accept(&knowledge, "a.md", "# Of acme\n\nNobody else's.").await?;
    let job = sync.run_job("globex", &pointers(&json!({}))).await?;
    expect_job(&job, "succeeded", &json!({"processed": 0}))?;
    ensure!(sync.memories("globex").await?.is_empty());
    // Two hundred and more in one folder are read page by page.
    let globex = As("globex", "gil", "TenantAdmin");
    for n in 0..205 {
        let body = json!({"path": format!("many/{n:03}.md"), "content": format!("# {n}\n\nText."), "kind": "note",
            "layer": "team", "status": "accepted"});
        knowledge.post(globex, "/knowledge", &body).await?.expect(201)?;
    }
    let job = sync.run_job("globex", &pointers(&json!({}))).await?;
    expect_job(&job, "succeeded", &json!({"processed": 205, "added": 205}))?;

    let mut wrong = pointers(&json!({}));
    wrong["target"] = json!({"type": "knowledge", "layer": "team"});
    let refused = sync.start_job("acme", &wrong).await?;
    refused.expect_problem(422, "INVALID_BODY")?;
    ensure!(
        refused.body["errors"][0]["pointer"] == "/target/type",
        "{}",
        refused.text
    );
    for settings in [
        json!({"kinds": ["fax"]}),
        json!({"status": ["odd"]}),
        json!({"pathPrefix": "../x"}),
    ] {
        let answer = sync.start_job("acme", &pointers(&settings)).await?;
        answer.expect_problem(422, "INVALID_BODY")?;
    }
    // The starter is an editor, who reads the drafts of others; the team does not.
    let drafts = pointers(&json!({"status": ["accepted", "draft"]}));
    let refused = sync.start_job("acme", &drafts).await?;
    refused.expect_problem(422, "INVALID_BODY")?;
    let error = &refused.body["errors"][0];
    ensure!(
        error["pointer"] == "/source/config/status"
            && error["message"].as_str().is_some_and(|why| why.contains("draft")),
        "{}",
        refused.text
    );
    Ok(())
}

#[tokio::test]
async fn without_the_knowledge_service_pointers_wait_and_other_jobs_go_on() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let gone = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let sync = Sync::on_knowledge(Ground::new().await?, &gone, &["--auth-mode", "disabled"]).await?;
    let id = sync.start_job("acme", &pointers(&json!({}))).await?.id()?;
    sync.write("acme", "a.md", "text")?;
    let other = sync.run_job("acme", &directory("")).await?;
    expect_job(&other, "succeeded", &json!({"added": 1}))?;
    let tried = async {
        loop {
            let job = sync.get("acme", &format!("/api/v1/sync/status/{id}")).await?;
            if job.body["error"].is_object() {
                return anyhow::Ok(job);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let job = tokio::time::timeout(std::time::Duration::from_secs(30), tried).await??;
    let error = job.body["error"].as_object().context("an error")?;
    ensure!(
        error["class"] == "transient" && error["code"] == "SOURCE_AWAY",
        "{}",
        job.text
    );
    ensure!(error["retryable"] == true, "{}", job.text);
    Ok(())
}
