//! Into knowledge, as its service's API is spoken.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::jobs::to_knowledge;
use super::peer::Fault;
use super::service::{Sync, expect_job};
use crate::api::service::Service as Memory;
use crate::ground::Ground;
use crate::knowledge::service::{ADMIN, Service as Knowledge};

#[tokio::test]
async fn files_become_items_under_their_prefix_with_the_starters_roles() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "docs/a b/ü.md", "# Ü")?;
    let mut body = to_knowledge("docs");
    body["target"]["pathPrefix"] = json!("hand/book");
    body["target"]["kind"] = json!("note");
    body["target"]["status"] = json!("proposed");
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "succeeded", &json!({"added": 1}))?;
    let item = sync
        .knowledge
        .item("acme", "hand/book/a b/ü.md")
        .context("it is there")?;
    let connection = &job.body["connectionId"];
    let expected = json!({
        "path": "hand/book/a b/ü.md", "content": "# Ü", "layer": "team", "kind": "note", "status": "proposed",
        "metadata": {"source": {"type": "import", "reference": "a b/ü.md", "connectionId": connection}},
    });
    ensure!(item.body == expected, "{}", item.body);
    ensure!(item.author == format!("sync/{}", connection.as_str().unwrap_or_default()));
    ensure!(item.roles == "TenantAdmin", "{}", item.roles);
    Ok(())
}

#[tokio::test]
async fn what_a_front_matter_names_the_target_does_not_write_over() -> Result<()> {
    let knowledge = Knowledge::start().await?;
    let sync = Sync::on_knowledge(Ground::new().await?, &knowledge.url, &["--auth-mode", "disabled"]).await?;
    let own =
        "status: draft\nkind: note\nlayer: company\nowner: ann\nsources: [wiki, mail]\nsource: {type: elsewhere}\n";
    sync.write("acme", "own.md", format!("---\n{own}---\n# Own\n\nFirst."))?;
    let adr = "# Choice\n\n## Context\nOne.\n\n## Decision\nTwo.\n\n## Consequences\nThree.\n";
    sync.write("acme", "some.md", format!("---\nowner: bob\n---\n{adr}"))?;
    sync.write("acme", "none.md", adr)?;
    // As JSON, which is YAML too; named in a way that no line shows; and not to be read.
    let braces = "{\"kind\": \"note\", \"owner\": \"cat\"}";
    sync.write("acme", "braces.md", format!("---\n{braces}\n---\n# Braces\n\nText."))?;
    sync.write("acme", "twice.md", format!("---\n? status\n: draft\n---\n{adr}"))?;
    sync.write("acme", "wrong.md", format!("---\nkind: [\n---\n{adr}"))?;
    let mut body = to_knowledge("");
    body["target"]["kind"] = json!("adr");
    body["target"]["status"] = json!("accepted");
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "partial", &json!({"added": 5, "rejected": 1}))?;
    let source = |path: &str| json!({"type": "import", "reference": path, "connectionId": job.body["connectionId"]});
    for (path, kind, status, metadata) in [
        (
            "own.md",
            "note",
            "draft",
            json!({"owner": "ann", "sources": ["wiki", "mail"], "source": source("own.md")}),
        ),
        (
            "some.md",
            "adr",
            "accepted",
            json!({"owner": "bob", "source": source("some.md")}),
        ),
        ("none.md", "adr", "accepted", json!({"source": source("none.md")})),
        (
            "braces.md",
            "note",
            "accepted",
            json!({"owner": "cat", "source": source("braces.md")}),
        ),
        ("twice.md", "adr", "draft", json!({"source": source("twice.md")})),
    ] {
        let item = knowledge.get(ADMIN, &format!("/knowledge/{path}")).await?;
        item.expect(200)?;
        ensure!(
            item.body["kind"] == kind && item.body["status"] == status && item.body["layer"] == "team",
            "{path}: {}",
            item.text
        );
        ensure!(item.body["metadata"] == metadata, "{path}: {}", item.text);
    }

    let again = sync.run_job("acme", &body).await?;
    expect_job(&again, "partial", &json!({"unchanged": 5, "updated": 0, "rejected": 1}))?;
    sync.write("acme", "own.md", format!("---\n{own}---\n# Own\n\nSecond."))?;
    let changed = sync.run_job("acme", &body).await?;
    expect_job(
        &changed,
        "partial",
        &json!({"unchanged": 4, "updated": 1, "rejected": 1}),
    )?;
    let item = knowledge.get(ADMIN, "/knowledge/own.md").await?;
    ensure!(
        item.body["status"] == "draft" && item.body["version"] == 2 && item.body["metadata"]["owner"] == "ann",
        "{}",
        item.text
    );
    Ok(())
}

#[tokio::test]
async fn a_change_is_the_next_version_and_what_somebody_else_wrote_is_left_alone() -> Result<()> {
    let sync = Sync::start().await?;
    sync.knowledge.plant("acme", "theirs.md", "by hand");
    sync.write("acme", "ours.md", "first")?;
    sync.write("acme", "theirs.md", "from the directory")?;
    for name in ["1.md", "2.md", "3.md", "4.md"] {
        sync.write("acme", name, "more")?;
    }
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "partial", &json!({"added": 5, "rejected": 1}))?;
    sync.write("acme", "ours.md", "second")?;
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "partial", &json!({"updated": 1, "rejected": 1, "unchanged": 4}))?;
    let ours = sync.knowledge.item("acme", "ours.md").context("it is there")?;
    ensure!(ours.version == 2 && ours.body["content"] == "second", "{ours:?}");
    sync.remove("acme", "theirs.md")?;
    sync.remove("acme", "ours.md")?;
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "succeeded", &json!({"deleted": 1}))?;
    ensure!(sync.knowledge.paths("acme") == ["1.md", "2.md", "3.md", "4.md", "theirs.md"]);
    let theirs = sync.knowledge.item("acme", "theirs.md").context("it is there")?;
    ensure!(theirs.body["content"] == "by hand", "{theirs:?}");
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_away_is_tried_again_and_one_that_refuses_is_not() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let fault = |status, retry_after| Fault {
        status,
        retry_after,
        body: json!({"code": "SOME_CODE", "detail": "some words"}),
    };
    sync.knowledge
        .fail([fault(503, None), fault(429, Some(7)), fault(401, None)]);
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    let path = format!("/api/v1/sync/status/{id}");
    let expected = [
        ("queued", "transient", "TARGET_AWAY", true),
        ("queued", "rate_limited", "TARGET_RATE_LIMITED", true),
        ("failed", "auth", "TARGET_REFUSED", false),
    ];
    for (status, class, code, retryable) in expected {
        sync.let_time_pass().await?;
        sync_service::worker::drive(&sync.context(), sync.claim().await?).await;
        let job = sync.get("acme", &path).await?;
        expect_job(&job, status, &json!({"added": 0}))?;
        let error = &job.body["error"];
        ensure!(
            error["class"] == class && error["code"] == code && error["retryable"] == retryable,
            "{}",
            job.text
        );
        if class == "rate_limited" {
            let at: jiff::Timestamp = error["retryAt"].as_str().context("it says when")?.parse()?;
            let heard: jiff::Timestamp = job.body["heartbeatAt"].as_str().context("a heartbeat")?.parse()?;
            ensure!(at.duration_since(heard).as_secs() >= 6, "{}", job.text);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_job_shows_a_token_that_the_services_of_the_installation_take() -> Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(b"a secret of thirty-two bytes, ok")?;
    let path = file.path().to_string_lossy().into_owned();
    let options = [
        "--auth-mode",
        "jwt",
        "--auth-jwt-secret-file",
        &path,
        "--auth-jwt-audience",
        "aeterna",
    ];
    let memory = Memory::start_on(Ground::new().await?, &options).await?;
    let sync = Sync::beside(memory, &options).await?;
    sync.write("acme", "a.md", "shown")?;
    let claims = json!({
        "sub": "ann", "tenant": "acme", "roles": ["Developer"], "aud": "aeterna", "exp": 4_000_000_000_u64,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret of thirty-two bytes, ok");
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)?;
    let request = sync
        .request(reqwest::Method::POST, "/api/v1/sync/start")
        .bearer_auth(&token);
    let started = crate::api::service::send(request.json(&super::service::directory(""))).await?;
    started.expect(202)?;
    ensure!(started.body["createdBy"] == "ann", "{}", started.text);
    let path = format!("/api/v1/sync/status/{}?wait=10s", started.id()?);
    let over = crate::api::service::send(sync.request(reqwest::Method::GET, &path).bearer_auth(&token)).await?;
    expect_job(&over, "succeeded", &json!({"added": 1}))?;
    ensure!(sync.memories("acme").await? == ["shown"]);
    crate::api::service::send(sync.request(reqwest::Method::GET, &path))
        .await?
        .expect_problem(401, "UNAUTHENTICATED")
}
